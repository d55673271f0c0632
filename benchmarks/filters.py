r"""How fast are the filters? Rows per second and memory of each, on generated rollouts.

Every run is in a process of its own, on the same rows. `decontaminate` is asked the same as
Open-R1's algorithm, written down here anew; near duplicates are planted, and counted. Prints
tables and writes results/filters.json; fails where two systems differ in a verdict. See README.md.
"""

import argparse
import json
import multiprocessing
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import r1trl_tiny
from datasets import Dataset, disable_caching, disable_progress_bars
from machine import machine

from r1trl.plugins.loading import load

RESULTS = Path(__file__).parent / "results" / "filters.json"
PACKAGES = ("r1trl", "datasets", "rensa", "pyarrow")
TOKENIZER = Path(r1trl_tiny.__file__).parent / "models" / "base"
PER_PROMPT = 4
LONG = 10.0  # seconds; what takes longer runs once
FEWER = {"token_length, counted": 10_000}  # rows, where all would take too long
THRESHOLDS = (0.7, 0.8, 0.9)
BENCHMARKS = {"one": 500, "two": 200, "three": 1000, "four": 30, "five": 30}
SIZE = 10  # words of a window
Asked = Callable[[Dataset], list[bool]]
FILTERS: dict[str, Mapping[str, Any]] = {
    "correct": {},
    "finished": {},
    "agreement": {},
    "pass_rate": {"least": 0.2, "most": 0.8},
    "difficulty": {"shares": [1, 2, 1]},
    "token_length": {"least": 10, "most": 400},
    "token_length, counted": {"least": 10, "most": 400, "tokenizer": str(TOKENIZER)},
    "short_paragraphs": {},
    "no_code_blocks": {},
    "readable": {},
    "tidy": {},
    "scripts": {},
    "one_language": {},
    "in_language": {"languages": ["en"]},
    "deduplicate": {},
    "near_duplicates": {"column": "completion"},
    "decontaminate": {},
    "per_prompt": {"keep": "shortest"},
    "balance": {},
    "limit": {"count": 100_000},
}


class TokenBatch:
    """Texts put together from phrases that all of them share, as problems do, and from numbers."""

    def __init__(self, seed: int) -> None:
        self.random, same = random.Random(seed), random.Random(0)
        words = [
            "".join(same.choice("bcdfghjklmnprstv") + same.choice("aeiou") for _ in range(size))
            for size in same.choices((1, 2, 3, 4), k=6000)
        ]
        self.phrases = [" ".join(same.choices(words, k=same.randint(4, 7))) for _ in range(2000)]

    def text(self, words: int) -> str:
        """Return a text of about so many words, in sentences."""
        said, count = [], 0
        while count < words:
            phrase = self.random.choice(self.phrases)
            said.append(f"{phrase} {self.random.randint(2, 9999)}{self.random.choice(',,.')}")
            count += phrase.count(" ") + 2
        return " ".join(said)


def questions(seed: int, count: int) -> list[str]:
    """Return questions of 30 to 90 words."""
    texts = TokenBatch(seed)
    return [texts.text(texts.random.randint(30, 90)) for _ in range(count)]


def rollouts(count: int) -> Iterator[dict[str, Any]]:
    """Yield rows as a sample stage leaves them, some of them with what filters look for."""
    texts, benchmarks = TokenBatch(1), [q for rows in benchmark_questions().values() for q in rows]
    for problem in range(count // PER_PROMPT):
        question = texts.text(texts.random.randint(30, 90))
        if texts.random.random() < 0.02:  # a part of a benchmark's question in its midst
            words = texts.random.choice(benchmarks).split()
            start = texts.random.randrange(max(1, len(words) - 12))
            question = f"{question} {' '.join(words[start : start + 12])} {texts.text(5)}"
        easy = texts.random.random()
        for _ in range(PER_PROMPT):
            thought = "\n\n".join(texts.text(60) for _ in range(texts.random.randint(1, 4)))
            if texts.random.random() < 0.02:
                thought += " " + "so it goes on and on and on. " * 8
            answer = texts.random.randint(0, 3)
            right = texts.random.random() < easy
            completion = f"<think>{thought}</think>\n<answer>{answer}</answer>"
            yield {
                "prompt": question,
                "completion": completion,
                "completion_tokens": len(completion) // 4,
                "finished": texts.random.random() < 0.95,
                "reward": float(right),
                "rewards/accuracy": float(right),
                "answer/accuracy": str(answer),
                "language": "en",
                "domain": texts.random.choice(("math", "code", "science")),
                "problem": problem,
            }


def benchmark_questions() -> dict[str, list[str]]:
    """Return the questions of five benchmarks, by name."""
    return {n: questions(100 + i, size) for i, (n, size) in enumerate(BENCHMARKS.items())}


def benchmark_rows() -> dict[str, Dataset]:
    """Return the benchmarks as rows."""
    return {n: Dataset.from_dict({"prompt": q}) for n, q in benchmark_questions().items()}


# One filter at a time, in a process of its own


class Memory(threading.Thread):
    """Watches how much memory of its own a process takes, in MiB."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak, self.ended = self.now(), threading.Event()

    @staticmethod
    def now() -> float:
        """Return the memory that is this process's and no file's."""
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon"))

    def run(self) -> None:
        """Look twenty times a second."""
        while not self.ended.wait(0.05):
            self.peak = max(self.peak, self.now())


def timed(make: Callable[[], Asked], path: str, answers: Any) -> None:
    """Send how long something takes on the rows of a file, the memory it adds, and its verdicts."""
    disable_progress_bars()
    disable_caching()  # or `Dataset.map` answers from the files of the run before
    what = make()
    rows = Dataset.from_parquet(path, cache_dir=str(Path(path).parent / "cache"))
    memory = Memory()
    before = memory.now()
    memory.start()
    start = time.perf_counter()
    found = what(rows)
    seconds = time.perf_counter() - start
    memory.ended.set()
    answers.send((seconds, max(memory.peak, memory.now()) - before, found))


def alone(make: Callable[[], Asked], path: Path) -> tuple[float, float, list[bool]]:
    """Do something with the rows of a file in a fresh process: seconds, MiB, what it returned.

    It is forked from one that has only imported the libraries, which would take seconds each time.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["datasets", "r1trl.plugins.loading"])
    here, there = context.Pipe()
    process = context.Process(target=timed, args=(make, str(path), there))
    process.start()
    while not here.poll(1.0):
        if not process.is_alive():
            raise RuntimeError(f"the process for {make} died with {process.exitcode}")
    found: tuple[float, float, list[bool]] = here.recv()
    process.join()
    return found


class Filter:
    """A filter with its options, to be sent to another process."""

    def __init__(self, name: str, **options: Any) -> None:
        self.name, self.options = name, options

    def __call__(self) -> Asked:
        """Return the filter, ready to be asked which rows stay."""
        offer, options = load([], []).find("filter", self.name), self.options
        if self.name == "decontaminate":
            options = {**options, "benchmarks": benchmark_rows(), "size": SIZE}
        bound = offer.bind(options)
        return lambda rows: [reason is None for reason in bound(rows)]


# Open-R1's decontamination, which looks up every window of every row, once for each benchmark


def windows(text: str) -> list[str]:
    """Return all windows of a text, in lower case and with single spaces."""
    words = text.lower().split()
    return [" ".join(words[i : i + SIZE]) for i in range(len(words) - SIZE + 1)]


def lookups(questions: Mapping[str, Sequence[str]]) -> dict[str, set[str]]:
    """Return the windows of every benchmark."""
    return {name: {w for text in rows for w in windows(text)} for name, rows in questions.items()}


def has_one(prompt: str, known: set[str]) -> bool:
    """Tell whether a benchmark has a window of a prompt; all of them are looked up."""
    found = {window in known for window in set(windows(prompt))}
    return any(found)


def open_r1() -> Asked:
    """Return Open-R1's way: a pass with `Dataset.map` for each benchmark, in one process."""
    benchmarks = benchmark_questions()

    def mark(row: Any, *, name: str, known: set[str]) -> Any:
        row[f"in_{name}"] = has_one(row["prompt"], known)
        return row

    def stays(rows: Dataset) -> list[bool]:
        for name, known in lookups(benchmarks).items():
            rows = rows.map(partial(mark, name=name, known=known), load_from_cache_file=False)
        columns = [rows[f"in_{name}"][:] for name in benchmarks]
        return [not any(found) for found in zip(*columns, strict=True)]

    return stays


def open_r1_in_memory() -> Asked:
    """Return the same without `Dataset.map`: prompts as a list, all benchmarks in one pass."""
    benchmarks = benchmark_questions()

    def stays(rows: Dataset) -> list[bool]:
        known = lookups(benchmarks).values()
        return [not any(has_one(prompt, one) for one in known) for prompt in rows["prompt"][:]]

    return stays


PEERS = {"Open-R1's algorithm": open_r1, "the same without Dataset.map": open_r1_in_memory}


def compare(workload: str, path: Path, repeats: int) -> list[dict[str, Any]]:
    """Measure `decontaminate` and its peers on the same rows, and compare all verdicts."""
    systems = {"r1trl": Filter("decontaminate"), **PEERS}
    found = [measure(name, make, path, repeats) for name, make in systems.items()]
    ours = found[0]
    if not 0 < ours["kept"] < 1:
        raise RuntimeError("verdicts that are all the same compare nothing")
    for row in found:
        row["workload"], row["ratio"] = workload, ours["per_second"] / row["per_second"]
        row["equal"] = row["stays"] == ours["stays"]
        show(row)
    return found


# Near duplicates


def planted(count: int) -> tuple[Dataset, list[float]]:
    """Make texts of which one in ten is a changed copy of an earlier one that is no copy.

    Return them with each one's similarity to what it is a copy of, 0 where it is none.
    """
    texts = TokenBatch(3)
    made: list[str] = []
    originals: list[str] = []
    alike: list[float] = []
    for _ in range(count):
        if originals and texts.random.random() < 0.1:
            original = texts.random.choice(originals)
            copy = original.split()
            for _ in range(texts.random.randint(0, len(copy) // 12)):
                copy[texts.random.randrange(len(copy))] = str(texts.random.randint(2, 99_999))
            made.append(" ".join(copy))
            alike.append(similarity(original, made[-1]))
        else:
            originals.append(texts.text(texts.random.randint(40, 120)))
            made.append(originals[-1])
            alike.append(0.0)
    return Dataset.from_dict({"completion": made}), alike


def similarity(one: str, other: str) -> float:
    """Return the Jaccard similarity of two texts' runs of three words."""
    first, second = (
        {tuple(words[i : i + 3]) for i in range(len(words) - 2)}
        for words in (one.lower().split(), other.lower().split())
    )
    return len(first & second) / len(first | second)


def near(rows: Dataset, alike: Sequence[float], path: Path, threshold: float) -> dict[str, Any]:
    """Return the recall and the precision on planted copies at a threshold.

    A copy may be like an earlier copy where it is not like enough to its original, so what is
    dropped beside the planted pairs counts as wrong only where it is no copy at all.
    """
    make = Filter("near_duplicates", column="completion", threshold=threshold)
    seconds, memory, stays = alone(make, path)
    wanted = [i for i, value in enumerate(alike) if value >= threshold]
    dropped = [i for i, stay in enumerate(stays) if not stay]
    return {
        "threshold": threshold,
        "rows": len(rows),
        "planted": len(wanted),
        "recall": sum(not stays[i] for i in wanted) / len(wanted),
        "precision": sum(alike[i] > 0 for i in dropped) / len(dropped),
        "per_second": len(rows) / seconds,
        "mib": memory,
    }


# All of it


def measure(name: str, make: Callable[[], Asked], path: Path, repeats: int) -> dict[str, Any]:
    """Return a filter's medians over fresh processes, and its verdicts."""
    runs = [alone(make, path)]
    while runs[0][0] < LONG and len(runs) < repeats:
        runs.append(alone(make, path))
    stays = runs[0][2]
    return {
        "filter": name,
        "per_second": len(stays) / statistics.median(run[0] for run in runs),
        "mib": statistics.median(run[1] for run in runs),
        "kept": sum(stays) / len(stays),
        "rows": len(stays),
        "runs": len(runs),
        "stays": stays,
    }


def every_filter(rows: Dataset, folder: Path, repeats: int) -> list[dict[str, Any]]:
    """Measure every filter."""
    found = []
    for name, options in FILTERS.items():
        count = min(len(rows), FEWER.get(name, len(rows)))
        path = written(rows.select(range(count)), folder / f"{count}.parquet")
        make = Filter(name.partition(",")[0], **options)
        found.append(measure(name, make, path, repeats))
        show(found[-1])
    return found


def written(rows: Dataset, path: Path) -> Path:
    """Write rows to a file, unless they are there, and return its path."""
    if not path.exists():
        rows.to_parquet(path)
    return path


def all_of_it(count: int, repeats: int, folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Measure everything on about so many rows."""
    rows = Dataset.from_list(list(rollouts(count)))
    filters = every_filter(rows, folder, repeats)
    once = rows.select(range(0, len(rows), PER_PROMPT))
    workloads = {
        f"{PER_PROMPT} rows of a prompt": written(rows, folder / f"{count}.parquet"),
        "1 row of a prompt": written(once, folder / "once.parquet"),
    }
    peers = [row for name in workloads for row in compare(name, workloads[name], repeats)]
    copies, alike = planted(count // 2)
    path = written(copies, folder / "copies.parquet")
    found = [near(copies, alike, path, threshold) for threshold in THRESHOLDS]
    for row in [*filters, *peers]:
        del row["stays"]
    return {"filters": filters, "peers": peers, "near_duplicates": found}


def main() -> None:
    """Measure everything, write the results and fail where verdicts differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few rows: does it run?")
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the JSON goes")
    settings = parser.parse_args()
    disable_progress_bars()
    count, repeats = (2000, 1) if settings.quick else (settings.rows, 3)
    about = machine(PACKAGES)
    with tempfile.TemporaryDirectory() as folder:
        found = all_of_it(count, repeats, Path(folder))
    for row in found["near_duplicates"]:
        cells = f"{row['threshold']} | {row['planted']:,} | {row['recall']:.2%}"
        print(
            f"| {cells} | {row['precision']:.2%} | {row['per_second']:,.0f} | {row['mib']:,.0f} |"
        )
    content = {"machine": about, "quick": settings.quick, "rows": count, **found}
    settings.out.parent.mkdir(parents=True, exist_ok=True)
    settings.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    if not all(row["equal"] for row in found["peers"]):
        sys.exit("decontaminate and Open-R1's algorithm differ in their verdicts")


def show(row: Mapping[str, Any]) -> None:
    """Print a row of the table."""
    kept = f"{row['kept']:.1%}"
    cells = [row["filter"], f"{row['per_second']:,.0f}", f"{row['mib']:,.0f}", kept, row["runs"]]
    if "ratio" in row:
        equal = "equal" if row["equal"] else "DIFFERENT"
        cells = [row["workload"], *cells, f"{row['ratio']:.1f} x", equal]
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


if __name__ == "__main__":
    main()
