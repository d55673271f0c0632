"""How near is the estimate of `r1trl plan` to the memory that a training takes?

Trainings of a few steps on the CPU, each in a process of its own: its peak above that right after
the imports, beside the estimate's. Prints a table and writes results/memory.json; see README.md.

    python benchmarks/memory.py
    python benchmarks/memory.py --quick    # one small training
"""

import argparse
import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from children import child, peak
from machine import machine
from shapes import model_path
from stages import first_stage

HERE = Path(__file__).parent
PACKAGES = ("r1trl", "trl", "transformers", "torch")
NEAR = 0.2  # of the measured memory
MIB = 2**20


@dataclass(frozen=True)
class Case:
    """A training: of `rows` times `accumulation` rows in an update, `tokens` long each."""

    shape: str
    does: str  # "sft", or "grpo" with a reference model
    rows: int
    tokens: int
    checkpointing: bool = False
    dtype: str = "float32"
    accumulation: int = 1

    @property
    def overrides(self) -> list[str]:
        """Return the overrides of the stage's arguments, on the recipe that has it."""
        args = {
            "per_device_train_batch_size": self.rows,
            "gradient_checkpointing": self.checkpointing,
            "max_steps": 2,
            "logging_steps": 1,
            "save_strategy": "no",
        }
        count = self.rows * self.accumulation
        if self.does == "sft":
            args |= {"max_length": self.tokens}
            own = [f"stages.tune.batch={count}", "stages.tune.max_truncated_rate=1"]
        else:
            args |= {"max_completion_length": self.tokens, "num_generations": self.rows}
            own = [f"stages.tune.rollout={{outputs: {count}, minibatches: 1}}"]
            own += ["+stages.tune.data.problems={}", "stages.tune.rewards={accuracy: {}}"]
            asked = " ".join(["five"] * self.tokens)  # a prompt is as long as estimates take it
            own += [f"stages.tune.template='{asked} {{{{ prompt }}}}'"]
            own += ["stages.tune.transitions={}"]
        given = [f"stages.tune.args.{name}={value}" for name, value in args.items()]
        return [f"+stage@stages.tune={self.does}", *own, *given]


CASES = {
    "50M, 4 x 512": Case("50M", "sft", 4, 512),
    "50M, 4 x 512, bfloat16": Case("50M", "sft", 4, 512, dtype="bfloat16"),
    "90M, 2 x 512, accumulated": Case("90M", "sft", 2, 512, accumulation=2),
    "135M, 4 x 256, checkpointing": Case("SmolLM2-135M", "sft", 4, 256, checkpointing=True),
    "300M, 1 x 256": Case("300M", "sft", 1, 256),
    "90M, 8 x 128, rollouts": Case("90M", "grpo", 8, 128),
}
QUICK = "50M, 1 x 256"


def one(case: Case, path: str) -> dict[str, Any]:
    """Train the model in a folder; return the measured and the estimated bytes."""
    import r1trl.training.trainers  # noqa: F401 - what is imported is not measured
    from r1trl.estimate.memory import peak as estimated

    start = peak()
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.jsonl"
        write_rows(rows, case)
        overrides = [
            *("scale=tiny", "name=b", f"runs_dir={folder}", f"model.path={path}"),
            *(f"model.dtype={case.dtype}", *case.overrides),
        ]
        if case.does == "sft":
            overrides += [
                f"+stages.tune.data.rows.path={rows}",
                "stages.tune.template='{{ prompt }}'",
            ]
        phase = estimated(given(overrides))
        trainer = first_stage(overrides).made()
        if case.does == "grpo":
            trainer._generate_single_turn = longest(trainer)
        trainer.train()
        return {"measured": (peak() - start) * MIB, "estimated": phase.total, "phase": phase.name}


def longest(trainer: Any) -> Any:
    """Return a substitute for generation: completions as long as they may be."""
    tokens = [5] * trainer.max_completion_length
    return lambda prompt_ids, *_: ([list(tokens) for _ in prompt_ids], None)


def given(overrides: list[str]) -> Any:
    """Return the stage as the plan estimates it, on a CPU."""
    from r1trl.config.compose import compose
    from r1trl.estimate.plans import given_of
    from r1trl.plan.plan import make_plan

    plan = make_plan(compose([*overrides, "hardware=cpu"], None))
    return given_of(plan, plan.stages[0], plan.config.hardware)


def write_rows(file: Path, case: Case) -> None:
    """Write rows that are longer than they may be."""
    text = " ".join(["five"] * case.tokens)
    rows = [{"prompt": f"{number} and", "completion": text} for number in range(64)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def main() -> None:
    """Measure the cases, one after the other."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--case", action="append", choices=CASES, help="all that there are")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "memory.json")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    cases = {**CASES, QUICK: Case("50M", "sft", 1, 256)}
    if args.one:
        args.out.write_text(json.dumps(one(cases[args.one[0]], args.one[1])))
        return
    about, table = machine(PACKAGES), []
    print("| training | measured, MiB | estimated, MiB | estimated / measured |  |")
    print("|---|---:|---:|---:|---|")
    for name in [QUICK] if args.quick else args.case or CASES:
        with tempfile.TemporaryDirectory() as folder:
            result = child(__file__, name, model_path(cases[name].shape, Path(folder)))
        ratio = result["estimated"] / result["measured"]
        far = "" if abs(ratio - 1) <= NEAR else f"more than {NEAR:.0%} off"
        sizes = f"{result['measured'] / MIB:,.0f} | {result['estimated'] / MIB:,.0f}"
        print(f"| {name} | {sizes} | {ratio:.2f} | {far} |", flush=True)
        table.append({"training": name, **asdict(cases[name]), **result, "ratio": ratio})
    content = {"machine": about, "trainings": table}
    args.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
