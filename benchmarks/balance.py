r"""How long do two processes wait for each other, as rows come and as r1trl deals them?

Two processes on the CPU train by GRPO on the same random completions, the longest 20 times as long
as the shortest, three times over: each with its own rows in TRL's order, each with its own rows
sorted (as r1trl did before it dealt them), and dealt to both by tokens. Prints a table, fails if
the weights differ, and writes results/balance.json; see README.md.

    python benchmarks/balance.py
    python benchmarks/balance.py --quick    # a smaller model, three updates

Seconds are of each process's own CPU, with one thread, so that a busy machine does not count: at
each micro-batch the process with fewer waits for the other.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from machine import machine
from shapes import model_path

HERE = Path(__file__).parent
PACKAGES = ("r1trl", "trl", "transformers", "torch")
SYSTEMS = ("as they come", "own rows sorted", "dealt")
SPREAD = 20
TOLERANCE = 1e-4  # of the largest change of a weight: the order of sums
ENVIRONMENT = {"CUDA_VISIBLE_DEVICES": "", "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Size:
    """What is trained: a shape of shapes.py, its longest completion, updates, micro-batches."""

    model: str
    longest: int
    updates: int
    rows: int = 4  # of a micro-batch
    micro_batches: int = 4  # of an update, on each process


SIZES = {False: Size("5M", 512, 9), True: Size("1M", 128, 3)}


def drawn(longest: int, source: random.Random) -> Any:
    """Return a substitute for generation: random ids, lengths spread over a factor of SPREAD."""

    def draw(prompt_ids: Any, *_: Any) -> Any:
        sizes = [round(longest * SPREAD ** -source.random()) for _ in prompt_ids]
        return [source.choices(range(3, 600), k=size) for size in sizes], None

    return draw


def own_rows_sorted(given: list[Any], size: int, packs: Any) -> list[Any]:
    """Deal each process its own rows, equal prompts and then equal lengths side by side."""
    from r1trl.dealing.update import Update, rows_of, widths_of
    from r1trl.stage.ranks import from_all

    everyone = from_all(widths_of(given[0]))
    widest = {name: max(widths[name] for widths in everyone) for name in everyone[0]}
    updates = []
    for start in range(0, len(given), size):
        group = given[start : start + size]
        cells = [
            cells_of(sorted(range(len(rows)), key=rows.__getitem__), len(group), process)
            for process, rows in enumerate(from_all(rows_of(group)))
        ]
        updates.append(Update(group, cells, widest))
    return updates


def cells_of(order: list[int], count: int, process: int) -> list[list[int]]:
    """Return a process's own rows in micro-batches, numbered through all processes."""
    each, numbers = len(order) // count, [process * len(order) + i for i in order]
    return [numbers[i : i + each] for i in range(0, len(numbers), each)]


def timed(trainer: Any) -> list[float]:
    """Return a list that gets the CPU seconds of each micro-batch, without rollouts."""
    seconds: list[float] = []
    step, prepare = trainer.training_step, trainer._prepare_inputs

    def training_step(*args: Any, **kwargs: Any) -> Any:
        seconds.append(-time.process_time())
        out = step(*args, **kwargs)
        seconds[-1] += time.process_time()
        return out

    def prepare_inputs(*args: Any) -> Any:
        begun = time.process_time()
        out = prepare(*args)
        seconds[-1] -= time.process_time() - begun
        return out

    trainer.training_step, trainer._prepare_inputs = training_step, prepare_inputs
    return seconds


def made(model: str, size: Size, folder: Path) -> Any:
    """Return a GRPO trainer of one of the two processes."""
    import trl
    from datasets import Dataset
    from transformers import AutoTokenizer

    from r1trl.config.stage_parts import ScoringConfig
    from r1trl.rewards.bound_reward import BoundReward
    from r1trl.rewards.scorer import Scorer
    from r1trl.training.trainers import with_rollouts

    rollout = 2 * 2 * size.micro_batches * size.rows  # two updates of two processes
    args = trl.GRPOConfig(
        output_dir=str(folder / "out"),
        use_cpu=True,
        bf16=False,
        report_to="none",
        save_strategy="no",
        optim="sgd",
        learning_rate=0.1,
        lr_scheduler_type="constant",
        max_grad_norm=1e6,
        beta=0.0,
        loss_type="grpo",
        num_generations=8,
        max_completion_length=size.longest,
        per_device_train_batch_size=size.rows,
        gradient_accumulation_steps=size.micro_batches,
        generation_batch_size=rollout,
        max_steps=size.updates,
        gradient_checkpointing=False,
        model_init_kwargs={"dtype": "float32"},
    )
    rows = {"prompt": [f"{a} + {b} =" for a in range(8) for b in range(8)]}
    return with_rollouts(trl.GRPOTrainer)(
        model=model,
        args=args,
        train_dataset=Dataset.from_dict(rows),
        processing_class=AutoTokenizer.from_pretrained(model),
        scorer=Scorer([BoundReward("spread", spread, {})], ScoringConfig(processes=1)),
    )


def spread(prompts: Any, completions: Any, completion_ids: Any, **_: Any) -> list[float]:
    """Return rewards that differ within a group."""
    return [sum(ids) % 7 / 6 for ids in completion_ids]


def one(system: str, size: Size, folder: Path) -> None:
    """Train as one of two processes; write this one's seconds, and the weights."""
    import torch

    from r1trl.dealing import passes
    from r1trl.stage.ranks import rank

    torch.set_num_threads(1)
    ways = {"as they come": lambda *_: [], "own rows sorted": own_rows_sorted}
    passes.updates_of = ways.get(system, passes.updates_of)
    trainer = made(str(folder / "model"), size, folder)
    trainer._generate_single_turn = drawn(size.longest, random.Random(1 + rank()))
    seconds = timed(trainer)
    start = {name: value.clone() for name, value in trainer.model.named_parameters()}
    trainer.train()
    trainer.scorer.close()
    (folder / f"{system}-{rank()}.json").write_text(json.dumps(seconds))
    if rank() == 0:
        moved = {n: (p - start[n]).detach() for n, p in trainer.model.named_parameters()}
        torch.save(moved, folder / f"{system}.pt")


def measured(system: str, quick: bool, folder: Path) -> dict[str, Any]:
    """Train with two processes; return seconds, and the share of them that is spent waiting.

    The first update is not counted.
    """
    warm = SIZES[quick].micro_batches
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command = [*launch, __file__, "--one", system, "--out", str(folder)]
    more = ["--quick"] if quick else []
    environment = {**os.environ, **ENVIRONMENT}
    done = subprocess.run([*command, *more], env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    paths = [folder / f"{system}-{number}.json" for number in range(2)]
    both = list(zip(*(json.loads(path.read_text())[warm:] for path in paths), strict=True))
    all_steps = sum(max(pair) for pair in both)
    return {"waiting": 1 - sum(map(sum, both)) / (2 * all_steps), "seconds": all_steps}


def largest_difference(systems: Sequence[str], folder: Path) -> float:
    """Return by how much the systems' weights differ, as a share of the largest change of one."""
    import torch

    first, *others = (torch.load(folder / f"{system}.pt") for system in systems)
    moved = max(float(change.abs().max()) for change in first.values())
    apart = [float((other[n] - first[n]).abs().max()) for other in others for n in first]
    return max(apart) / moved


def show(systems: Mapping[str, Mapping[str, float]]) -> str:
    """Return the results as Markdown."""
    lines = ["| rows | waiting | seconds |", "|---|---:|---:|"]
    for name, row in systems.items():
        lines.append(f"| {name} | {row['waiting']:.1%} | {row['seconds']:.1f} |")
    return "\n".join(lines)


def main() -> None:
    """Run the three in turn and compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a smaller model, three updates")
    parser.add_argument("--out", type=Path, help="where the JSON goes")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    size = SIZES[args.quick]
    if args.one:
        one(args.one, size, args.out)
        return
    about = machine(PACKAGES)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model_path(size.model, folder / "model")
        systems = {system: measured(system, args.quick, folder) for system in SYSTEMS}
        apart = largest_difference(SYSTEMS, folder)
    print(f"{show(systems)}\n\nweights apart: {apart:.1e} of the largest change")
    content = {"machine": about, "size": vars(size), "systems": systems, "weights_apart": apart}
    out = args.out or HERE / "results" / "balance.json"
    out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    if apart > TOLERANCE:
        sys.exit(f"the weights differ by more than {TOLERANCE:g} of the largest change")


if __name__ == "__main__":
    main()
