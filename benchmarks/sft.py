r"""What does supervised fine-tuning cost in r1trl and in bare TRL? The same rows, in turn.

Bare TRL as it comes, and with rows grouped by length, which is its fastest setting where attention
kernels cannot pack (packing needs flash attention, or rows see one another). Prints a table and
writes results/sft.json; see README.md.

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
from shapes import SHAPES, made, share_of_peak

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


def training(workload: str, model: str, dtype: str, folder: Path) -> Any:
    """Return the stage that is trained, as r1trl lays it out."""
    import r1trl_tiny

    from r1trl.config.compose import compose
    from r1trl.data.rows import rows_of
    from r1trl.generation.local import load_tokenizer
    from r1trl.plan.plan import make_plan
    from r1trl.plugins.loading import load
    from r1trl.training.arguments import Training
    from r1trl.training.tracking import Tracker

    count, batch, micro, shortest, longest, most = WORKLOADS[workload]
    tiny = str(Path(r1trl_tiny.__file__).parent / "models" / "base")
    path = made(model, folder / "model") if model else tiny
    tokenizer, data = load_tokenizer(path), folder / "rows.jsonl"
    pairs = rows(tokenizer, count, shortest, longest)
    data.write_text("".join(json.dumps(row) + "\n" for row in pairs), encoding="utf-8")
    config, _ = compose(
        [
            *("scale=tiny", "+stage@stages.tune=sft", "name=b", f"runs_dir={folder}"),
            *(f"model.path={path}", f"model.dtype={dtype}", f"stages.tune.batch={batch}"),
            *(f"+stages.tune.data.rows.path={data}", "stages.tune.template='{{ prompt }}'"),
            f"stages.tune.args.per_device_train_batch_size={micro}",
            *(
                "stages.tune.args.num_train_epochs=1",
                "stages.tune.args.logging_steps=1",
                "stages.tune.args.save_strategy=no",
            ),
            *(f"stages.tune.args.max_length={most}", "stages.tune.args.learning_rate=1e-5"),
        ],
        None,
    )
    planned = make_plan(config).stages[0]
    plugins, tracker = load([], []), Tracker(planned.work, folder, main=False)
    read = rows_of(planned.work, planned.work.settings["data"], planned.folder, plugins)
    return Training(planned.work, planned.folder, read, tokenizer, plugins, tracker, {})


def one(system: str, workload: str, model: str, dtype: str) -> dict[str, Any]:
    """Train for one epoch with one system."""
    import trl

    from r1trl.data.prompts import render
    from r1trl.training.arguments import batch_args, trl_config
    from r1trl.training.trainers import make_sft

    with tempfile.TemporaryDirectory() as folder:
        stage = training(workload, model, dtype, Path(folder))
        if system == "r1trl":
            trainer = make_sft(stage)
        else:
            grouped = {"train_sampling_strategy": "group_by_length"} if "length" in system else {}
            read = render(stage.rows, stage.tokenizer, stage.work.settings["template"], "")
            trainer = trl.SFTTrainer(
                model=stage.work.settings["model"],
                args=trl_config(stage, **batch_args(stage), **grouped),
                train_dataset=read.select_columns(["prompt", "completion"]),
                processing_class=stage.tokenizer,
            )
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
    given = parser.parse_args()
    if given.one:
        given.out.write_text(json.dumps(one(*given.one)))
        return
    about, table = machine(PACKAGES), []
    print("| workload | system | tokens/s | of peak | seconds | r1trl's time / this one's | MiB |")
    print("|---|---|---:|---:|---:|---:|---:|")
    usual = ["quick"] if given.quick else ["tiny", *(["model"] if given.model else [])]
    for workload in given.workload or usual:
        model = given.model if workload in ("model", "8k") else ""
        runs = in_turn(
            SYSTEMS,
            1 if given.quick else given.rounds,
            lambda system, _, workload=workload, model=model: child(
                __file__, system, workload, model, given.dtype
            ),
        )
        row = {
            name: {key: statistics.median(run[key] for run in found) for key in found[0]}
            for name, found in runs.items()
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
    given.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
