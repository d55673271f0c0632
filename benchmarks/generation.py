r"""How fast are completions generated? r1trl's decoding and transformers' `generate`, in turn.

Real tokens per second: tokens after an end token are not counted. Each measurement is a process
of its own. Prints a table and writes results/generation.json; see README.md.

    python benchmarks/generation.py                          # the tiny models
    python benchmarks/generation.py --model models/smollm2   # and a folder's, or a shape's
    python benchmarks/generation.py --quick
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from children import child, in_turn, peak
from machine import machine
from shapes import SHAPES, model_path

HERE = Path(__file__).parent
PACKAGES = ("r1trl", "transformers", "torch")
SYSTEMS = ("generate", "r1trl")
# model, distinct prompts, completions of each, max. new tokens, tokens put before each prompt
WORKLOADS: dict[str, tuple[str, int, int, int, int]] = {
    "tiny": ("tiny", 16, 8, 96, 0),
    "tiny, 512 rows": ("tiny", 64, 8, 96, 0),
    "model": ("model", 8, 8, 256, 0),
    "model, long prompts": ("model", 2, 16, 64, 400),
}
REPEATS = {"tiny": 5, "model": 1}


def prompts_of(kind: str, tokenizer: Any, count: int, before: int) -> list[list[int]]:
    """Return prompts as ids: problems of the tiny world, or sums to explain."""
    if kind == "tiny":
        from r1trl_tiny import r1trl_datasets

        rows = r1trl_datasets()["tiny_problems"](count=count, seed=5)
        return [tokenizer(f"User: {row['prompt']} Assistant:")["input_ids"] for row in rows]
    ids = []
    for i in range(count):
        messages = [{"role": "user", "content": f"What is {17 + 9 * i} + {25 + 4 * i}? Explain."}]
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        note = tokenizer("Here is a note that you need not read. " * before)["input_ids"][:before]
        ids.append(note + tokenizer(text)["input_ids"])
    return ids


def one(system: str, workload: str, model: str, dtype: str, seed: int) -> dict[str, Any]:
    """Generate a few times with one system; return its real tokens per second."""
    import r1trl_tiny
    import torch

    from r1trl.config.schema import StageConfig
    from r1trl.decoding.decode import decode
    from r1trl.decoding.sampling_params import SamplingParams
    from r1trl.generation.local import load_model
    from r1trl.models.tokenizer import load_tokenizer

    kind, count, copies, longest, before = WORKLOADS[workload]
    base = Path(r1trl_tiny.__file__).parent / "models" / "base"
    with tempfile.TemporaryDirectory() as folder:
        path = str(base) if kind == "tiny" else model_path(model, Path(folder))
        loaded = load_model(StageConfig(kind="sample", dtype=dtype), path)
        tokenizer = load_tokenizer(path, chat=False)
    prompts = [p for p in prompts_of(kind, tokenizer, count, before) for _ in range(copies)]
    end, padding = tokenizer.eos_token_id, tokenizer.pad_token_id

    def generated() -> list[int]:
        width = max(map(len, prompts))
        ids = torch.tensor([[padding] * (width - len(p)) + p for p in prompts])
        mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])
        how = {"do_sample": True, "temperature": 1.0, "top_p": 1.0, "top_k": 0}
        more = {"max_new_tokens": longest, "pad_token_id": padding, "eos_token_id": end}
        device = loaded.device
        with torch.no_grad():
            out = loaded.generate(
                ids.to(device), attention_mask=mask.to(device), **how, **more, disable_compile=True
            )
        rows = out[:, width:].tolist()
        return [row.index(end) + 1 if end in row else len(row) for row in rows]

    def decoded() -> list[int]:
        params = SamplingParams(eos_token_ids=(end,), pad_token_id=padding)
        results = decode(loaded, prompts, [longest] * len(prompts), params)
        return [len(result.ids) for result in results]

    generate = generated if system == "generate" else decoded
    torch.manual_seed(seed)
    if kind == "tiny":
        generate()  # warms up
    rates, lengths = [], list[int]()
    for _ in range(REPEATS[kind]):
        start = time.perf_counter()
        counts = generate()
        rates.append(sum(counts) / (time.perf_counter() - start))
        lengths += counts
    return {"rate": statistics.median(rates), "mean": statistics.fmean(lengths), "mib": peak()}


def main() -> None:
    """Measure both systems in turn."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="", help=f"a folder, or one of {', '.join(SHAPES)}")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round, the smallest workload")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "generation.json")
    parser.add_argument("--one", nargs=5, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        *names, seed = args.one
        args.out.write_text(json.dumps(one(*names, int(seed))))
        return
    about, table = machine(PACKAGES), []
    print("| workload | generate, tokens/s | r1trl | ratio | tokens | MiB | MiB |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for workload, (kind, *_) in WORKLOADS.items():
        if (kind == "model" and not args.model) or (args.quick and workload != "tiny"):
            continue
        runs = in_turn(
            SYSTEMS,
            1 if args.quick else args.rounds,
            lambda system, seed, workload=workload: child(
                __file__, system, workload, args.model, args.dtype, seed
            ),
        )
        row = {
            name: {key: statistics.median(run[key] for run in results) for key in results[0]}
            for name, results in runs.items()
        }
        table.append({"workload": workload, **row, "runs": runs})
        theirs, ours = row["generate"], row["r1trl"]
        print(
            f"| {workload} | {theirs['rate']:,.0f} | {ours['rate']:,.0f} | "
            f"{ours['rate'] / theirs['rate']:.2f} x | {theirs['mean']:.0f}, {ours['mean']:.0f} | "
            f"{theirs['mib']:,.0f} | {ours['mib']:,.0f} |"
        )
        sys.stdout.flush()
    content = {"machine": about, "workloads": table}
    args.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
