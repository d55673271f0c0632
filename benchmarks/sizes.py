"""What fits where? Plans of three recipes with four models on 1 to 256 H100, into docs/SIZES.md.

Estimates of `r1trl plan`, none of them run. Each plan gets what a person would type for it: ZeRO-3,
vLLM, and servers of as many cards as the model needs.

    python benchmarks/sizes.py            # writes the tables between the marks in docs/SIZES.md
    python benchmarks/sizes.py --check    # says whether they are current
"""

import argparse
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from r1trl.config.compose import compose
from r1trl.errors import ConfigError
from r1trl.estimate.fits import misfits
from r1trl.estimate.given import GIB, Given
from r1trl.estimate.judge import estimated
from r1trl.estimate.memory import peak
from r1trl.estimate.speed import cost
from r1trl.plan.plan import make_plan

PAGE = Path(__file__).parents[1] / "docs" / "SIZES.md"
START, END = "<!-- made by benchmarks/sizes.py -->", "<!-- end -->"
RECIPES = ("zero", "r1", "distill")
# A model of conf/model; cards of an engine of vLLM, and of each card the share that it has while
# a stage that trains draws.
MODELS = {
    "1.5B": ("qwen2.5-1.5b", 1, 0.3),
    "7B": ("qwen2.5-7b", 1, 0.3),
    "32B": ("qwen2.5-32b", 4, 0.35),
    "70B": ("llama-3.3-70b-instruct", 8, 0.35),
}
LAUNCHES = {
    1: ("launch=local",),
    8: ("launch=zero3",),
    32: ("launch=slurm-zero3", "launch.nodes=4"),
    256: ("launch=slurm-zero3", "launch.nodes=32"),
}
TRAINS = {
    "zero": ("zero_first", "zero"),
    "r1": ("zero_first", "zero", "dev2", "r1"),
    "distill": ("student_rl",),
}
DIVISIBLE = ("scale.sft.batch=256", "scale.distill.batch=256")  # by 256 processes; 128 and 64


@dataclass(frozen=True)
class Case:
    """A recipe with a model on some cards."""

    recipe: str
    size: str
    cards: int

    @property
    def overrides(self) -> list[str]:
        """Return what is typed after `r1trl plan`."""
        model, tensor_parallel, share = MODELS[self.size]
        engine = min(tensor_parallel, self.cards)
        words = [f"recipe={self.recipe}", f"model={model}", "hardware=h100"]
        words += [f"model@student={model}"] if self.recipe == "distill" else []
        words += [*LAUNCHES[self.cards], "generation.vllm=true"]
        words += [f"generation.serve={{policy: {{tensor_parallel: {engine}}}}}"]
        words += DIVISIBLE if self.cards == 256 else ()
        for stage in TRAINS[self.recipe] if engine > 1 else ():
            words.append(f"stages.{stage}.args.vllm_tensor_parallel_size={engine}")
            words.append(f"stages.{stage}.args.vllm_gpu_memory_utilization={share}")
        return words


def stages(case: Case) -> list[Given]:
    """Return the estimated stages of a case."""
    plan = make_plan(compose([*case.overrides, "name=sizes", "runs_dir=none"], None))
    return list(estimated(plan, plan.config.hardware))


def cell(found: list[Given]) -> str:
    """Return what a case comes to: what does not fit, or its memory and its time."""
    refused = [one.name for one in found if list(misfits(one))]
    if refused:
        return f"no: {', '.join(refused)}"
    most = max((one for one in found if one.trains), key=lambda one: peak(one).total)
    spent = [each for each in map(cost, found) if each]
    hours = sum(each.gpu_hours for each in spent)
    days = sum(each.drawing + each.training for each in spent) / 86400
    time = f"{days:,.1f} days" if days >= 1 else f"{24 * days:,.1f} hours"
    return f"{peak(most).total / GIB:.0f} GiB ({most.name}), {hours:,.0f} GPU-hours, {time}"


def reasons(case: Case, found: list[Given]) -> Iterator[str]:
    """Yield why the first stage that is refused is, and what fits."""
    texts = [misfit.text for one in found for misfit in misfits(one)]
    if texts:
        more = f" (and {len(texts) - 1} more)" if len(texts) > 1 else ""
        yield f"- {case.size} on {case.cards}{more}: {texts[0]}"


def page() -> str:
    """Return the tables and the reasons, as Markdown."""
    text = ""
    for recipe in RECIPES:
        head = " | ".join(f"{cards} H100" for cards in LAUNCHES)
        text += f"### `{recipe}`\n\n| model | {head} |\n|---|{'---|' * len(LAUNCHES)}\n"
        told: list[str] = []
        for size in MODELS:
            cases = [Case(recipe, size, cards) for cards in LAUNCHES]
            found = [stages(case) for case in cases]
            text += f"| {size} | {' | '.join(map(cell, found))} |\n"
            told += [line for pair in zip(cases, found, strict=True) for line in reasons(*pair)]
        example = " ".join(
            f"'{word}'" if "{" in word else word for word in Case(recipe, "7B", 32).overrides
        )
        text += f"\nThe 7B on 32:\n\n```sh\nr1trl plan {example}\n```\n"
        text += "\nRefused, each by its first stage:\n\n" + "\n".join(told) + "\n\n"
    return text.rstrip() + "\n"


def main() -> int:
    """Write or check the tables; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    before = PAGE.read_text(encoding="utf-8")
    try:
        made = f"{START}\n\n{page()}\n{END}"
    except ConfigError as error:
        print("\n".join(error.problems), file=sys.stderr)
        return 2
    after = re.sub(f"{START}.*{END}", lambda _: made, before, flags=re.S)
    if check:
        return int(before != after)
    PAGE.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
