r"""Measure the filters: rows per second and memory of each, on generated rollouts.

Every run is in a process of its own, on the same rows. `decontaminate` is compared with Open-R1's
algorithm, reimplemented here; near duplicates are planted, and counted. Prints tables and writes
results/filters.json; fails if two systems keep different rows. See README.md.
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
LONG = 10.0  # seconds; a filter that takes longer runs once
MAX_ROWS = {"token_length, counted": 10_000}  # of filters for which all rows take too long
THRESHOLDS = (0.7, 0.8, 0.9)
BENCHMARKS = {"one": 500, "two": 200, "three": 1000, "four": 30, "five": 30}
NGRAM_SIZE = 10  # words
Keep = Callable[[Dataset], list[bool]]  # for each row whether it is kept
FILTERS: dict[str, Mapping[str, Any]] = {
    "correct": {},
    "finished": {},
    "majority_answer": {},
    "pass_rate": {"min_rate": 0.2, "max_rate": 0.8},
    "difficulty": {"shares": [1, 2, 1]},
    "token_length": {"min_tokens": 10, "max_tokens": 400},
    "token_length, counted": {"min_tokens": 10, "max_tokens": 400, "tokenizer": str(TOKENIZER)},
    "short_paragraphs": {},
    "no_code_blocks": {},
    "readable": {},
    "no_markdown": {},
    "allowed_scripts": {},
    "one_language": {},
    "in_language": {"languages": ["en"]},
    "deduplicate": {},
    "deduplicate_near": {"column": "completion"},
    "decontaminate": {},
    "per_prompt": {"keep": "shortest"},
    "balance": {},
    "head": {"count": 100_000},
}


class TextGenerator:
    """Random texts made of numbers and of phrases that all texts share, as those of problems do."""

    def __init__(self, seed: int) -> None:
        self.rng, shared = random.Random(seed), random.Random(0)
        words = [
            "".join(shared.choice("bcdfghjklmnprstv") + shared.choice("aeiou") for _ in range(size))
            for size in shared.choices((1, 2, 3, 4), k=6000)
        ]
        self.phrases = [
            " ".join(shared.choices(words, k=shared.randint(4, 7))) for _ in range(2000)
        ]

    def text(self, words: int) -> str:
        """Return a text of about `words` words, in sentences."""
        parts, count = [], 0
        while count < words:
            phrase = self.rng.choice(self.phrases)
            parts.append(f"{phrase} {self.rng.randint(2, 9999)}{self.rng.choice(',,.')}")
            count += phrase.count(" ") + 2
        return " ".join(parts)


def questions(seed: int, count: int) -> list[str]:
    """Return `count` questions of 30 to 90 words."""
    texts = TextGenerator(seed)
    return [texts.text(texts.rng.randint(30, 90)) for _ in range(count)]


def rollouts(count: int) -> Iterator[dict[str, Any]]:
    """Yield about `count` rows as a sample stage writes them, some of which filters drop."""
    texts, benchmarks = (
        TextGenerator(1),
        [q for rows in benchmark_questions().values() for q in rows],
    )
    for problem in range(count // PER_PROMPT):
        question = texts.text(texts.rng.randint(30, 90))
        if texts.rng.random() < 0.02:  # contains a part of a benchmark's question
            words = texts.rng.choice(benchmarks).split()
            start = texts.rng.randrange(max(1, len(words) - 12))
            question = f"{question} {' '.join(words[start : start + 12])} {texts.text(5)}"
        easy = texts.rng.random()
        for _ in range(PER_PROMPT):
            thought = "\n\n".join(texts.text(60) for _ in range(texts.rng.randint(1, 4)))
            if texts.rng.random() < 0.02:
                thought += " " + "so it goes on and on and on. " * 8
            answer = texts.rng.randint(0, 3)
            right = texts.rng.random() < easy
            completion = f"<think>{thought}</think>\n<answer>{answer}</answer>"
            yield {
                "prompt": question,
                "completion": completion,
                "completion_tokens": len(completion) // 4,
                "finished": texts.rng.random() < 0.95,
                "reward": float(right),
                "rewards/accuracy": float(right),
                "answer/accuracy": str(answer),
                "language": "en",
                "domain": texts.rng.choice(("math", "code", "science")),
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
    """A thread that records the peak of this process's anonymous memory, in MiB."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak, self.ended = self.now(), threading.Event()

    @staticmethod
    def now() -> float:
        """Return the current anonymous memory in MiB."""
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon"))

    def run(self) -> None:
        """Sample the memory at 20 Hz."""
        while not self.ended.wait(0.05):
            self.peak = max(self.peak, self.now())


def send_run(make: Callable[[], Keep], path: str, connection: Any) -> None:
    """Run a filter on the rows of a file; send its seconds, its memory in MiB and its result."""
    disable_progress_bars()
    disable_caching()  # or `Dataset.map` reads the files of the previous run
    keep = make()
    rows = Dataset.from_parquet(path, cache_dir=str(Path(path).parent / "cache"))
    memory = Memory()
    before = memory.now()
    memory.start()
    start = time.perf_counter()
    kept = keep(rows)
    seconds = time.perf_counter() - start
    memory.ended.set()
    connection.send((seconds, max(memory.peak, memory.now()) - before, kept))


def run_alone(make: Callable[[], Keep], path: Path) -> tuple[float, float, list[bool]]:
    """Run a filter on the rows of a file in a fresh process; return seconds, MiB and its result.

    The process is forked from one that has imported the libraries, which would take seconds.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["datasets", "r1trl.plugins.loading"])
    parent_end, child_end = context.Pipe()
    process = context.Process(target=send_run, args=(make, str(path), child_end))
    process.start()
    while not parent_end.poll(1.0):
        if not process.is_alive():
            raise RuntimeError(f"the process for {make} died with {process.exitcode}")
    result: tuple[float, float, list[bool]] = parent_end.recv()
    process.join()
    return result


class Filter:
    """A filter with its options, which can be sent to another process."""

    def __init__(self, name: str, **options: Any) -> None:
        self.name, self.options = name, options

    def __call__(self) -> Keep:
        """Return the filter as a function from rows to whether each is kept."""
        offer, options = load([], []).find("filter", self.name), self.options
        if self.name == "decontaminate":
            options = {**options, "benchmarks": benchmark_rows(), "ngram_size": NGRAM_SIZE}
        bound = offer.bind(options)
        return lambda rows: [reason is None for reason in bound(rows)]


# Open-R1's decontamination, which looks up every n-gram of every row, once for each benchmark


def ngrams(text: str) -> list[str]:
    """Return all n-grams of a text, in lower case and with single spaces."""
    words = text.lower().split()
    return [" ".join(words[i : i + NGRAM_SIZE]) for i in range(len(words) - NGRAM_SIZE + 1)]


def ngram_sets(questions: Mapping[str, Sequence[str]]) -> dict[str, set[str]]:
    """Return the n-grams of every benchmark."""
    return {name: {n for text in rows for n in ngrams(text)} for name, rows in questions.items()}


def overlaps(prompt: str, known: set[str]) -> bool:
    """Return True if one of a prompt's n-grams is known; all of them are looked up."""
    hits = {ngram in known for ngram in set(ngrams(prompt))}
    return any(hits)


def open_r1() -> Keep:
    """Return Open-R1's algorithm: a `Dataset.map` pass per benchmark, in one process."""
    benchmarks = benchmark_questions()

    def mark(row: Any, *, name: str, known: set[str]) -> Any:
        row[f"in_{name}"] = overlaps(row["prompt"], known)
        return row

    def keep(rows: Dataset) -> list[bool]:
        for name, known in ngram_sets(benchmarks).items():
            rows = rows.map(partial(mark, name=name, known=known), load_from_cache_file=False)
        columns = [rows[f"in_{name}"][:] for name in benchmarks]
        return [not any(hits) for hits in zip(*columns, strict=True)]

    return keep


def open_r1_in_memory() -> Keep:
    """Return it without `Dataset.map`: prompts as a list, all benchmarks in one pass."""
    benchmarks = benchmark_questions()

    def keep(rows: Dataset) -> list[bool]:
        known = ngram_sets(benchmarks).values()
        return [
            not any(overlaps(prompt, ngrams_) for ngrams_ in known) for prompt in rows["prompt"][:]
        ]

    return keep


PEERS = {"Open-R1's algorithm": open_r1, "the same without Dataset.map": open_r1_in_memory}


def compare(workload: str, path: Path, repeats: int) -> list[dict[str, Any]]:
    """Return the measures of `decontaminate` and its peers on the same rows, and compare them."""
    systems = {"r1trl": Filter("decontaminate"), **PEERS}
    measured = [measure(name, make, path, repeats) for name, make in systems.items()]
    ours = measured[0]
    if not 0 < ours["kept"] < 1:
        raise RuntimeError("a filter that keeps all rows or none compares nothing")
    for row in measured:
        row["workload"], row["ratio"] = workload, ours["per_second"] / row["per_second"]
        row["equal"] = row["keep"] == ours["keep"]
        show(row)
    return measured


# Near duplicates


def planted(count: int) -> tuple[Dataset, list[float]]:
    """Return texts, one in ten a changed copy of an earlier original, and their similarities.

    A text's similarity is that to its original, or 0 if it is an original itself.
    """
    texts = TextGenerator(3)
    planted_texts: list[str] = []
    originals: list[str] = []
    similarities: list[float] = []
    for _ in range(count):
        if originals and texts.rng.random() < 0.1:
            original = texts.rng.choice(originals)
            copy = original.split()
            for _ in range(texts.rng.randint(0, len(copy) // 12)):
                copy[texts.rng.randrange(len(copy))] = str(texts.rng.randint(2, 99_999))
            planted_texts.append(" ".join(copy))
            similarities.append(similarity(original, planted_texts[-1]))
        else:
            originals.append(texts.text(texts.rng.randint(40, 120)))
            planted_texts.append(originals[-1])
            similarities.append(0.0)
    return Dataset.from_dict({"completion": planted_texts}), similarities


def similarity(one: str, other: str) -> float:
    """Return the Jaccard similarity of two texts' n-grams of three words."""
    first, second = (
        {tuple(words[i : i + 3]) for i in range(len(words) - 2)}
        for words in (one.lower().split(), other.lower().split())
    )
    return len(first & second) / len(first | second)


def near_measures(
    rows: Dataset, similarities: Sequence[float], path: Path, threshold: float
) -> dict[str, Any]:
    """Return the recall and the precision of `deduplicate_near` on planted copies.

    A copy may be nearer to an earlier copy than to its original, so a dropped row counts as wrong
    only if it is no copy at all.
    """
    make = Filter("deduplicate_near", column="completion", threshold=threshold)
    seconds, memory, keep = run_alone(make, path)
    wanted = [i for i, value in enumerate(similarities) if value >= threshold]
    dropped = [i for i, kept in enumerate(keep) if not kept]
    return {
        "threshold": threshold,
        "rows": len(rows),
        "planted": len(wanted),
        "recall": sum(not keep[i] for i in wanted) / len(wanted),
        "precision": sum(similarities[i] > 0 for i in dropped) / len(dropped),
        "per_second": len(rows) / seconds,
        "mib": memory,
    }


# All measures


def measure(name: str, make: Callable[[], Keep], path: Path, repeats: int) -> dict[str, Any]:
    """Return a filter's medians over fresh processes, and which rows it keeps."""
    runs = [run_alone(make, path)]
    while runs[0][0] < LONG and len(runs) < repeats:
        runs.append(run_alone(make, path))
    keep = runs[0][2]
    return {
        "filter": name,
        "per_second": len(keep) / statistics.median(run[0] for run in runs),
        "mib": statistics.median(run[1] for run in runs),
        "kept": sum(keep) / len(keep),
        "rows": len(keep),
        "runs": len(runs),
        "keep": keep,
    }


def every_filter(rows: Dataset, folder: Path, repeats: int) -> list[dict[str, Any]]:
    """Return the measures of every filter."""
    measured = []
    for name, options in FILTERS.items():
        count = min(len(rows), MAX_ROWS.get(name, len(rows)))
        path = written(rows.select(range(count)), folder / f"{count}.parquet")
        make = Filter(name.partition(",")[0], **options)
        measured.append(measure(name, make, path, repeats))
        show(measured[-1])
    return measured


def written(rows: Dataset, path: Path) -> Path:
    """Return the path of a file with the rows, which is written unless it exists."""
    if not path.exists():
        rows.to_parquet(path)
    return path


def all_measures(count: int, repeats: int, folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Return all measures on about `count` rows."""
    rows = Dataset.from_list(list(rollouts(count)))
    filters = every_filter(rows, folder, repeats)
    once = rows.select(range(0, len(rows), PER_PROMPT))
    workloads = {
        f"{PER_PROMPT} rows of a prompt": written(rows, folder / f"{count}.parquet"),
        "1 row of a prompt": written(once, folder / "once.parquet"),
    }
    peers = [row for name in workloads for row in compare(name, workloads[name], repeats)]
    copies, similarities = planted(count // 2)
    path = written(copies, folder / "copies.parquet")
    near = [near_measures(copies, similarities, path, threshold) for threshold in THRESHOLDS]
    for row in [*filters, *peers]:
        del row["keep"]
    return {"filters": filters, "peers": peers, "near_duplicates": near}


def main() -> None:
    """Measure everything, write the results, and exit with 1 if the systems differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few rows: does it run?")
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the JSON goes")
    settings = parser.parse_args()
    disable_progress_bars()
    count, repeats = (2000, 1) if settings.quick else (settings.rows, 3)
    machine_info = machine(PACKAGES)
    with tempfile.TemporaryDirectory() as folder:
        measures = all_measures(count, repeats, Path(folder))
    for row in measures["near_duplicates"]:
        cells = f"{row['threshold']} | {row['planted']:,} | {row['recall']:.2%}"
        print(
            f"| {cells} | {row['precision']:.2%} | {row['per_second']:,.0f} | {row['mib']:,.0f} |"
        )
    content = {"machine": machine_info, "quick": settings.quick, "rows": count, **measures}
    settings.out.parent.mkdir(parents=True, exist_ok=True)
    settings.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    if not all(row["equal"] for row in measures["peers"]):
        sys.exit("decontaminate and Open-R1's algorithm keep different rows")


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
