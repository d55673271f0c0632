"""The samples: golds and completions, drawn by a seeded generator from the tables in pairs.toml."""

import random
import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

TABLES = tomllib.loads(Path(__file__).with_name("pairs.toml").read_text())
LABELLED = tomllib.loads(Path(__file__).with_name("labelled.toml").read_text())["kind"]
PLACEHOLDER = re.compile(r"<([abcdpqnsme])>")
PRIMES = (2, 3, 5, 7, 11, 13)
GROUP = 16
LONG = 30_000


@dataclass(frozen=True)
class Sample:
    """A gold answer, a completion and whether it is right; None if that is not labelled."""

    gold: str
    completion: str
    right: bool | None = None
    origin: tuple[str, str] = ("", "")


def fill(template: str, values: dict[str, int]) -> str:
    """Fill a template's placeholders with numbers."""
    return PLACEHOLDER.sub(lambda match: str(values[match.group(1)]), template)


def draw_values(rng: random.Random) -> dict[str, int]:
    """Draw the numbers of one row."""
    a, b, c, d = sorted(rng.sample(range(2, 98), 4))
    p, q = rng.sample(PRIMES, 2)
    return {"a": a, "b": b, "c": c, "d": d, "p": p, "q": q} | {
        "n": a + 1,
        "s": a + b,
        "m": a * b,
        "e": rng.randint(2, 9),
    }


def plain(rng: random.Random) -> tuple[str, list[str], list[str]]:
    """Draw a plain number with ways to write it, and wrong ones."""
    whole, below = rng.randint(-9999, 99999), rng.choice([2, 4, 5, 8, 10, 20])
    above = rng.randint(1, 99) * below + 1
    integer = (str(whole), [str(whole), f"{whole:,}"], [str(whole + 1), str(-whole - 1)])
    decimal = (f"{whole}.25", [f"{whole}.25", f"{whole}.250"], [f"{whole}.5", f"{whole + 1}.25"])
    fraction = (
        f"{above}/{below}",
        [rf"\frac{{{above}}}{{{below}}}", f"{above}/{below}", f"{above / below:.3f}"],
        [rf"\frac{{{above}}}{{{below + 1}}}", rf"\frac{{{above + 1}}}{{{below}}}"],
    )
    return rng.choice([integer, integer, decimal, fraction])


def mixed(rng: random.Random) -> tuple[str, list[str], list[str]]:
    """Draw a gold in LaTeX with right and wrong answers."""
    row, values = rng.choice(TABLES["latex"]), draw_values(rng)
    gold, right, wrong = f"${row['gold']}$", row["right"], row["wrong"]
    return (
        fill(gold, values),
        [fill(answer, values) for answer in right],
        [fill(answer, values) for answer in wrong],
    )


def sentence(rng: random.Random) -> str:
    """Write a sentence of reasoning with a formula."""
    a, b, c = (rng.randint(2, 999) for _ in range(3))
    return rng.choice(
        [
            f"We have $x_{{{a}}} = {b} + {c}$, so the next term is ${a + b + c}$. ",
            f"Since {a} and {b} leave the same remainder, $n^2 + {a}n = {b}$ holds modulo {c}. ",
            rf"Then \[ \frac{{{a}x + {b}}}{{{c}}} = \sqrt{{{a + b}}} \] follows by substitution. ",
            f"Let me check: {a} * {b} = {a * b}, which is more than {c}. ",
            rf"The angle is \(\frac{{{a}\pi}}{{{b}}}\), and its cosine is not ${c}$. ",
            "Wait, that does not use the condition, so let me start again from the beginning. ",
        ]
    )


def short_text(rng: random.Random, answer: str) -> str:
    """Write two sentences of reasoning and the answer in a box."""
    reasoning = sentence(rng) + sentence(rng)
    return rf"<think>{reasoning}</think> The answer is $\boxed{{{answer}}}$."


def long_text(rng: random.Random, answer: str) -> str:
    """Write 30,000 characters of reasoning, about 8,000 tokens, and the answer in a box."""
    reasoning = ""
    while len(reasoning) < LONG:
        reasoning += sentence(rng) + rng.choice(["", "", "", "\n\n"])
    return rf"<think>{reasoning}</think> The answer is $\boxed{{{answer}}}$."


def samples(name: str, count: int, seed: int) -> list[Sample]:
    """Draw the samples of a workload, all different except in groups."""
    rng = random.Random(f"{name} {seed}")
    kinds, text, share = WORKLOADS[name]
    if name == "mixed LaTeX, groups of 16":
        return [sample for _ in range(count // GROUP) for sample in group(rng)]
    batch = []
    for i in range(count):
        gold, right, wrong = kinds[i % len(kinds)](rng)
        good = rng.random() < share
        batch.append(Sample(gold, text(rng, rng.choice(right if good else wrong)), good))
    return batch


def group(rng: random.Random) -> list[Sample]:
    """Draw sixteen completions for one gold, four of them equal, as a confident model would."""
    gold, right, wrong = mixed(rng)
    members = []
    for i in range(GROUP - 3):
        good = i == 0 or rng.random() < 0.5
        members.append(Sample(gold, short_text(rng, rng.choice(right if good else wrong)), good))
    return members + members[:1] * 3


Draw = Callable[[random.Random], tuple[str, list[str], list[str]]]
WORKLOADS: dict[str, tuple[list[Draw], Callable[[random.Random, str], str], float]] = {
    "plain numbers": ([plain], short_text, 0.75),
    "mixed LaTeX": ([mixed], short_text, 0.5),
    "long completions": ([plain, mixed], long_text, 0.5),
    "mixed LaTeX, groups of 16": ([mixed], short_text, 0.5),
}


def pairs(each: int, seed: int = 0) -> Iterator[Sample]:
    """Yield the pairs to compare: `each` per row with placeholders, one per other row.

    `origin` is the gold and the answer or text as in the table.
    """
    rng = random.Random(seed)
    for row in TABLES["latex"]:
        answers = [row["gold"], *row["right"], *row["wrong"]]
        times = each if any(map(PLACEHOLDER.search, [row["gold"], *answers])) else 1
        for values in (draw_values(rng) for _ in range(times)):
            for answer in answers:
                gold, completion = fill(row["gold"], values), boxed(fill(answer, values))
                yield Sample(gold, completion, None, (row["gold"], answer))
    for row in TABLES["single"]:
        for answer in [row["gold"], *row["answers"]]:
            yield Sample(row["gold"], boxed(answer), None, (row["gold"], answer))
    for row in TABLES["text"]:
        for text in row["texts"]:
            yield Sample(row["gold"], text, None, (row["gold"], text))


def labelled() -> Iterator[tuple[Sample, float | None, str]]:
    """Yield the labelled pairs, each with its verdict and the reason of its kind."""
    for kind in LABELLED:
        for gold, answer, label in kind["rows"]:
            sample = Sample(gold, boxed(answer), None, (gold, answer))
            yield sample, None if label == "none" else float(label), kind["why"]


def boxed(answer: str) -> str:
    """Write a completion with the answer in a box."""
    return rf"So \boxed{{{answer}}}"
