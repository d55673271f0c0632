r"""What does supervised fine-tuning cost in r1trl and in bare TRL? The same rows, in turn.

Bare TRL with its defaults, and with rows grouped by length, which is its fastest setting if the
attention cannot pack (packing needs flash attention, or rows attend to one another). Prints a table
and writes results/sft.json; see README.md.

    python benchmarks/sft.py                          # the tiny model
    python benchmarks/sft.py --model models/smollm2   # and a folder's, or a shape's (see shapes.py)
    python benchmarks/sft.py --workload 8k --model Qwen3-0.6B --dtype bfloat16   # on a GPU
    python benchmarks/sft.py --quick
"""

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from children import child, in_turn, peak
from machine import machine
from shapes import SHAPES, model_path, share_of_peak
from stages import UntrainedWork, first_stage

HERE = Path(__file__).parent
PACKAGES = ("r1trl", "trl", "transformers", "torch")
SYSTEMS = ("trl", "trl, by length", "r1trl")
# rows, rows of an update, rows of a micro-batch, shortest and longest completion in words, tokens
WORKLOADS = {
    "tiny": (2048, 64, 32, 4, 60, 512),
    "quick": (128, 64, 32, 4, 60, 512),
    "model": (24, 8, 4, 20, 200, 512),
    "8k": (64, 16, 4, 500, 8000, 8192),
}


def rows(tokenizer: Any, count: int, shortest: int, longest: int) -> list[dict[str, str]]:
    """Return prompts with completions of very different lengths, as answers are."""
    source = random.Random(1)
    words = [word for word in tokenizer.get_vocab() if word.isascii() and word.isalpha()]

    def text(size: int) -> str:
        return " ".join(source.choices(words, k=size))

    spread = longest / shortest
    sizes = [round(shortest * spread ** source.random()) for _ in range(count)]
    return [{"prompt": f"User: {text(12)} Assistant:", "completion": text(n)} for n in sizes]


def laid_out(workload: str, model: str, dtype: str, folder: Path) -> UntrainedWork:
    """Return the work of the stage that is trained."""
    import r1trl_tiny

    from r1trl.models.tokenizer import load_tokenizer

    count, batch, micro, shortest, longest, max_length = WORKLOADS[workload]
    tiny = str(Path(r1trl_tiny.__file__).parent / "models" / "base")
    path = model_path(model, folder / "model") if model else tiny
    tokenizer, data = load_tokenizer(path, chat=False), folder / "rows.jsonl"
    pairs = rows(tokenizer, count, shortest, longest)
    data.write_text("".join(json.dumps(row) + "\n" for row in pairs), encoding="utf-8")
    args = {
        "per_device_train_batch_size": micro,
        "num_train_epochs": 1,
        "logging_steps": 1,
        "save_strategy": "no",
        "max_length": max_length,
        "learning_rate": 1e-5,
        # Kept activations of four padded rows of 8,192 tokens need more than a card of 80 GB.
        "gradient_checkpointing": workload == "8k",
    }
    return first_stage(
        [
            *("scale=tiny", "+stage@stages.tune=sft", "name=b", f"runs_dir={folder}"),
            *(f"model.path={path}", f"model.dtype={dtype}", f"stages.tune.batch={batch}"),
            *(f"+stages.tune.data.rows.path={data}", "stages.tune.template='{{ prompt }}'"),
            *(f"stages.tune.args.{name}={value}" for name, value in args.items()),
        ]
    )


def bare(work: UntrainedWork, by_length: bool) -> Any:
    """Return TRL's own trainer with the arguments that r1trl would give it."""
    import trl

    grouped = {"train_sampling_strategy": "group_by_length"} if by_length else {}
    return trl.SFTTrainer(
        model=work.stage.model,
        args=work.arguments(trl.SFTConfig, **grouped),
        train_dataset=work.rendered(work.rows()).select_columns(["prompt", "completion"]),
        processing_class=work.tokenizer(),
    )


def one(system: str, workload: str, model: str, dtype: str) -> dict[str, Any]:
    """Train for one epoch with one system; `r1trl, padded` passes rows as TRL does."""
    with tempfile.TemporaryDirectory() as folder:
        work = laid_out(workload, model, dtype, Path(folder))
        ours = system.startswith("r1trl")
        trainer: Any = work.made() if ours else bare(work, "length" in system)
        if "padded" in system:
            trainer.packs = False
        begun = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - begun
    tokens = max(row.get("num_tokens", 0) for row in trainer.state.log_history)
    losses = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    rate, mean = tokens / seconds, tokens / WORKLOADS[workload][0]
    return {
        "rate": rate,
        "peak": share_of_peak(trainer.model, rate, mean) or 0.0,
        "seconds": seconds,
        "loss": losses[-1],
        "mib": peak(),
    }


def main() -> None:
    """Measure the systems in turn."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="", help=f"a folder, or one of {', '.join(SHAPES)}")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--workload", choices=WORKLOADS, action="append", help="all that there are")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round, the tiny model")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "sft.json")
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        args.out.write_text(json.dumps(one(*args.one)))
        return
    about, table = machine(PACKAGES), []
    print("| workload | system | tokens/s | of peak | seconds | r1trl's time / this one's | MiB |")
    print("|---|---|---:|---:|---:|---:|---:|")
    usual = ["quick"] if args.quick else ["tiny", *(["model"] if args.model else [])]
    for workload in args.workload or usual:
        model = args.model if workload in ("model", "8k") else ""
        runs = in_turn(
            SYSTEMS,
            1 if args.quick else args.rounds,
            lambda system, _, workload=workload, model=model: child(
                __file__, system, workload, model, args.dtype
            ),
        )
        row = {
            name: {key: statistics.median(run[key] for run in results) for key in results[0]}
            for name, results in runs.items()
        }
        for name, figures in row.items():
            ratio = row["r1trl"]["seconds"] / figures["seconds"]
            print(
                f"| {workload} | {name} | {figures['rate']:,.0f} | {figures['peak']:.1%} | "
                f"{figures['seconds']:.1f} | {ratio:.2f} | {figures['mib']:,.0f} |"
            )
        sys.stdout.flush()
        table.append({"workload": workload, **row, "runs": runs})
    content = {"machine": about, "workloads": table}
    args.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
