"""The dataset `bfcl`: the Berkeley Function Calling Leaderboard, version 4, with its answers.

Its questions come in the wheel of the package bfcl-eval, whose dependencies are pinned so hard that
it fits beside no other. So it is not installed with r1trl: its wheel is unpacked, and read.
"""

import importlib.util
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import r1trl

if TYPE_CHECKING:
    from datasets import Dataset

Category = Literal[
    "simple_python",
    "simple_java",
    "simple_javascript",
    "multiple",
    "parallel",
    "parallel_multiple",
    "irrelevance",
    "live_simple",
    "live_multiple",
    "live_parallel",
    "live_parallel_multiple",
    "live_irrelevance",
    "live_relevance",
]
CATEGORIES: tuple[Category, ...] = Category.__args__  # type: ignore[attr-defined]
ANY = '"any"'  # in place of answers: some call, whichever
HOW = (
    "pip install --no-deps --target bfcl bfcl-eval, then the "
    "option path=bfcl (its dependencies are pinned too hard to install it beside r1trl)"
)
ASKED = """\
You can call these functions, each described in JSON:
{functions}

Answer with nothing but the calls that the question needs, as a list: \
[name(parameter=value, ...), ...]. Write values in {language}. If no function can answer it, or a \
required value is not known, say so in words and call none.

{question}"""


def data_folder(path: str | None) -> Path | None:
    """Return the folder with BFCL's files, in an unpacked wheel or installed; None: not there."""
    spec = importlib.util.find_spec("bfcl_eval") if path is None else None
    roots = [Path(place) for place in (spec and spec.submodule_search_locations) or ()]
    roots += [Path(path) / "bfcl_eval", Path(path)] if path is not None else []
    found = [root / "data" for root in roots if (root / "data" / "possible_answer").is_dir()]
    return found[0] if found else None


def missing_requirements(*, path: str | None = None, **others: Any) -> str | None:
    """Return how BFCL's wheel is got if it is not there, else None."""
    if data_folder(path) is not None:
        return None
    where = f"no unpacked wheel of bfcl-eval is at {path}" if path else "bfcl-eval is not installed"
    return f"{where}: {HOW}"


@r1trl.describe(missing_requirements=missing_requirements)
def bfcl(*, path: str | None = None, categories: list[Category] | None = None) -> "Dataset":
    """Read BFCL v4: questions with functions, and the calls that are right.

    `path` is the unpacked wheel of bfcl-eval; None: the installed package. `categories` None: all
    of CATEGORIES; BFCL's multi_turn, memory and web_search are not among them, for their answers
    are states of programs that calls are run against. Columns: prompt, question, functions and
    calls (JSON, for the reward `function_call`; calls are '[]' if none is right, '"any"' if one
    must be made), syntax (the language of values), category, problem_key, domain ('calls'). Raises
    FileNotFoundError, with what to type, if the wheel is not there.
    """
    from datasets import Dataset

    folder = data_folder(path)
    if folder is None:
        raise FileNotFoundError(missing_requirements(path=path))
    return Dataset.from_list(
        [row for category in categories or CATEGORIES for row in _rows(folder, category)]
    )


def _rows(folder: Path, category: str) -> Iterator[dict[str, str]]:
    name = f"BFCL_v4_{category}.json"
    none = {"irrelevance": "[]", "live_irrelevance": "[]", "live_relevance": ANY}.get(category)
    answers = [] if none else _lines(folder / "possible_answer" / name)
    calls = {row["id"]: json.dumps(row["ground_truth"]) for row in answers}
    for row in _lines(folder / name):
        [messages] = row["question"]
        right = none or calls[row["id"]]
        yield row_of(messages, row["function"], right, category, row["id"])


def row_of(
    messages: Sequence[dict[str, str]],
    functions: Sequence[dict[str, Any]],
    calls: str,
    category: str,
    key: str,
) -> dict[str, str]:
    """Return the row of a question: messages in one prompt, functions and calls as JSON."""
    syntax = category.removeprefix("simple_") if category.startswith("simple_") else "python"
    question = "\n\n".join(message["content"] for message in messages)
    described = json.dumps(functions, ensure_ascii=False)
    language = {"java": "Java", "javascript": "JavaScript"}.get(syntax, "Python")
    return {
        "prompt": ASKED.format(functions=described, language=language, question=question),
        "question": question,
        "functions": described,
        "calls": calls,
        "syntax": syntax,
        "category": category,
        "problem_key": key,
        "domain": "calls",
    }


def _lines(file: Path) -> list[dict[str, Any]]:
    """Return the rows of a file of JSON lines."""
    lines = file.read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines if line.strip()]
