r"""How fast does one GPU train models of real shapes? r1trl, bare TRL, and what prime-rl publishes.

Random weights, long rows, activations recomputed: fine-tuning on rows of up to 8,192 tokens (bare
TRL pads them; r1trl with and without its packing), GRPO on given completions of up to 16,384 tokens
(world 16k of grpo.py), and ten steps of GRPO with colocated vLLM if that is installed: seconds of
its generation, and how far its probabilities are from those that are trained. Prints a table and
writes results/gpu.json; see README.md.

    python benchmarks/gpu.py                              # three shapes
    python benchmarks/gpu.py --models Qwen3-0.6B --rounds 1
    python benchmarks/gpu.py --quick                      # the same code at a tiny size, on a CPU
"""

import argparse
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from children import child, in_turn
from grpo import WARM, Job
from machine import machine
from shapes import SHAPES

HERE = Path(__file__).parent
PACKAGES = ("r1trl", "trl", "transformers", "torch")
MODELS = ("Qwen2.5-0.5B", "Qwen2.5-1.5B", "Qwen3-0.6B")
SYSTEMS = {"sft": ("trl", "r1trl, padded", "r1trl"), "grpo": ("trl", "r1trl")}
# tokens/s and share of peak of prime-rl's trainer, Qwen3-0.6B on one H100: its own benchmarks/
PUBLISHED = {"sft": (26_000, 0.168), "grpo": (11_900, 0.111)}
VLLM_STEPS = 10
VLLM = (
    "stages.zero_first.args.use_vllm=true",
    "stages.zero_first.args.vllm_mode=colocate",
    "stages.zero_first.args.vllm_gpu_memory_utilization=0.4",
)


def card() -> str | None:
    """Return the name of the GPU, None without one."""
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


def measured(work: str, system: str, model: str, quick: bool) -> dict[str, Any]:
    """Return tokens/s, the share of the peak (0 if that is unknown) and the memory of one run."""
    dtype = "float32" if quick else "bfloat16"
    if work == "sft":
        workload = "quick" if quick else "8k"
        run = child(str(HERE / "sft.py"), system, workload, model, dtype)
    else:
        job = Job(system, "tiny" if quick else "16k", 1, 3, model, dtype, replay=True)
        run = child(str(HERE / "grpo.py"), json.dumps(asdict(job)))
    return {"rate": run["rate"], "peak": run["peak"] or 0.0, "mib": run["mib"]}


def with_vllm(model: str) -> dict[str, Any] | None:
    """Return seconds of steps and generation with colocated vLLM, and the ratios' distribution.

    None, with a line that says so, if vLLM is not installed or there is no GPU for it.
    """
    if find_spec("vllm") is None or not card():
        print(f"\n{model}: steps with colocated vLLM are not measured (no vLLM, or no GPU)")
        return None
    job = Job("r1trl", "varied", 1, VLLM_STEPS + WARM, model, "bfloat16", more=VLLM)
    run = child(str(HERE / "grpo.py"), json.dumps(asdict(job)))
    seconds = statistics.fmean(run["steps"][WARM:]), statistics.fmean(run["phases"]["generation"])
    print(f"\n{model}, colocated vLLM: {seconds[0]:.2f} s a step, {seconds[1]:.2f} s generation")
    for name, values in run["sampling"].items():
        print(f"{name}: {min(values):.4f} to {max(values):.4f}")
    return {"step": seconds[0], "generation": seconds[1], "sampling": run["sampling"]}


def row(work: str, model: str, system: str, figures: Mapping[str, float], ratio: float) -> str:
    """Return a row of the table; a share of an unknown peak is left out."""
    share = f"{figures['peak']:.1%}" if figures["peak"] else ""
    rate, mib = f"{figures['rate']:,.0f}", f"{figures['mib']:,.0f}"
    return f"| {work} | {model} | {system} | {rate} | {ratio:.2f} | {share} | {mib} |"


def compare(work: str, model: str, rounds: int, quick: bool) -> dict[str, dict[str, float]]:
    """Measure the systems in turn, print their rows, and return their medians."""
    runs = in_turn(SYSTEMS[work], rounds, lambda system, _: measured(work, system, model, quick))
    medians = {
        system: {name: statistics.median(run[name] for run in of) for name in of[0]}
        for system, of in runs.items()
    }
    for system, figures in medians.items():
        ratio = figures["rate"] / medians["trl"]["rate"]
        print(row(work, model, system, figures, ratio), flush=True)
    return medians


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure every model, one kind of work after the other."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", choices=SHAPES, default=MODELS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="the shape 1M, short rows, one round")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "gpu.json")
    args = parser.parse_args(arguments)
    models, rounds = (("1M",), 1) if args.quick else (args.models, args.rounds)
    about = {**machine(PACKAGES), "card": card()}
    print("| work | model | system | tokens/s | times TRL's | of peak | MiB |")
    print("|---|---|---|---:|---:|---:|---:|")
    table = {
        work: {model: compare(work, model, rounds, args.quick) for model in models}
        for work in SYSTEMS
    }
    for work, (rate, share) in PUBLISHED.items():
        print(f"| {work} | Qwen3-0.6B | prime-rl, published | {rate:,} | | {share:.1%} | |")
    vllm = {model: with_vllm(model) for model in models}
    content = {"machine": about, **table, "published": PUBLISHED, "vllm": vllm}
    args.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
