"""Where a source's rows come from: of a path and a dataset the user's own counts, and the last."""

from pathlib import Path
from typing import Any

import pytest

from r1trl.config.compose import compose
from r1trl.errors import ConfigError
from r1trl.plan.plan import make_plan

ROWS = "rows.jsonl"  # a file need not be there to be composed
PATH, DATASET = f"sources.problems.path={ROWS}", "sources.problems.dataset=tiny_chat"
HUB = ("openai/gsm8k", None, "main", "train", {})
FILE = (ROWS, None, None, None, {})


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Return a folder of recipes that set the source of the problems."""
    (tmp_path / "recipe").mkdir()
    sources = {
        "file": f"path: {ROWS}",
        "split": f"path: {ROWS}, split: test",
        "hub": "path: some/mirror",
        "made": "dataset: tiny_chat, options: {domain: safety}",
    }
    for name, source in sources.items():
        (tmp_path / "recipe" / f"{name}.yaml").write_text(
            "# @package _global_\ndefaults: [/recipe/zero, _self_]\n"
            f"sources: {{problems: {{{source}}}}}\n"
        )
    return tmp_path


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["recipe=zero", "dataset=gsm8k"], HUB),
        # A path replaces a dataset, and what belongs to the dataset or the Hub goes with it.
        (["recipe=zero", "scale=tiny", PATH], FILE),
        (["recipe=zero", "dataset=gsm8k", PATH], FILE),
        (["recipe=zero", "dataset=gsm8k", "sources.problems.path=my/copy"], ("my/copy", *HUB[1:])),
        (["recipe=zero", PATH, "sources.problems.split=test"], (ROWS, None, None, "test", {})),
        (["recipe=zero", PATH, "sources.problems.split=train"], (ROWS, None, None, "train", {})),
        # A dataset replaces a path.
        (["recipe=zero", DATASET], (None, "tiny_chat", None, None, {})),
        (["recipe=zero", "scale=tiny", DATASET], (None, "tiny_chat", None, None, {})),
        (
            ["recipe=zero", "scale=tiny", "sources.problems.options.domain=safety", DATASET],
            (None, "tiny_chat", None, None, {"domain": "safety"}),
        ),
        # Of several, the last one counts.
        (["recipe=zero", DATASET, PATH], FILE),
        (["recipe=zero", PATH, DATASET], (None, "tiny_chat", None, None, {})),
        # Keys count over what groups choose, in any order.
        (["recipe=zero", PATH, "dataset=gsm8k"], FILE),
        (["recipe=zero", DATASET, "dataset=gsm8k"], (None, "tiny_chat", None, None, {})),
        # So it is in recipes of one's own.
        (["recipe=file"], FILE),
        (["recipe=file", "scale=tiny"], FILE),
        (["recipe=split", "scale=tiny"], (ROWS, None, None, "test", {})),
        (["recipe=hub", "dataset=gsm8k"], ("some/mirror", *HUB[1:])),
        (["recipe=file", DATASET], (None, "tiny_chat", None, None, {})),
        (
            ["recipe=made", "scale=tiny"],
            (None, "tiny_chat", None, None, {"count": 4096, "domain": "safety"}),
        ),
    ],
)
def test_a_source_reads_what_the_user_gives_it(
    overrides: list[str], expected: tuple[Any, ...], own: Path
) -> None:
    source = compose(overrides, own).config.sources["problems"]
    found = (source.path, source.dataset, source.name, source.split, source.options)
    assert found == expected


def test_a_source_of_a_stage_reads_what_is_given_last() -> None:
    key = "stages.dev1.data.cold_start"
    own = compose(["recipe=r1", f"{key}.dataset=tiny_chat", f"{key}.options.count=9"], None)
    source = own.config.stages["dev1"].data["cold_start"]
    assert (source.path, source.dataset, source.options) == (None, "tiny_chat", {"count": 9})


GSM8K = {"prompt", "question", "solution", "domain"}


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        # Columns of a dataset that nobody has chosen are not those of one's own file …
        ([PATH], {}),
        (["sources.problems.path=rows.JSONL.gz"], {}),
        (["scale=tiny", PATH], {}),
        (["dataset=file", PATH], {}),
        (["dataset=file", "scale=tiny", PATH], {}),
        ([PATH, "sources.problems.columns={prompt: q}"], {"prompt": "q"}),
        ([PATH, "sources.problems.columns.prompt=q"], {"prompt": "q"}),
        (
            [PATH, "sources.problems.columns={question: problem, prompt: problem}"],
            {"question": "problem", "prompt": "problem"},  # also if it has said the same
        ),
        # … but they stay for a copy of a dataset that is chosen, and for another place on the Hub.
        (["dataset=gsm8k", PATH], GSM8K),
        (["dataset=gsm8k", "sources.problems.path=my/copy"], GSM8K),
        (["sources.problems.path=my/copy"], GSM8K),
    ],
)
def test_a_file_of_ones_own_has_its_own_columns(overrides: list[str], expected: Any) -> None:
    source = compose(["recipe=zero", *overrides], None).config.sources["problems"]
    assert source.path and source.dataset is None
    assert (set(source.columns) if isinstance(expected, set) else source.columns) == expected


def test_a_folder_of_ones_own_has_no_name_and_split_of_a_dataset(tmp_path: Path) -> None:
    path = f"sources.problems.path={tmp_path}"
    source = compose(["recipe=zero", path], None).config.sources["problems"]
    assert (source.name, source.split, source.columns) == (None, None, {})
    own = compose(["recipe=zero", path, "sources.problems.split=test"], None)
    assert own.config.sources["problems"].split == "test"


def problems(*overrides: str) -> list[str]:
    """Return what the plan finds wrong; empty if nothing is."""
    try:
        make_plan(compose(["recipe=zero", "scale=tiny", *overrides], None))
    except ConfigError as error:
        return error.problems
    return []


def plan_of(file: Path, *overrides: str) -> list[str]:
    """Return the problems of a plan with a file of one's own, their path left out."""
    found = problems(f"sources.problems.path='{file}'", *overrides)
    return [problem.replace(str(file), file.name) for problem in found]


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        (
            "cut.jsonl",
            '{"prompt": "a"}\n{"pro',
            "path: cut.jsonl: cannot be read: line 2 is no JSON",
        ),
        ("empty.jsonl", "", "path: empty.jsonl: there are no rows in it"),
        ("no columns.txt", "a", "path: no columns.txt is no file of rows, which are .jsonl, "),
        (
            "other.csv",
            "q,a\n1,2\n",
            "columns: the rows have no column 'prompt'; they have: q, a; say",
        ),
        (
            "two.csv",
            "question,problem\n1,2\n",
            "columns: the rows have no column 'prompt'; they have: question, problem; say which is "
            "meant: columns: {prompt: …, solution: …}",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_found_by_the_plan(
    name: str, content: str, problem: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content)
    (found,) = plan_of(tmp_path / name)
    assert found.startswith(f"sources.problems.{problem}")


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        (
            "{prompt: question, solution: answr}",
            "solution: the rows have no column 'answr' (did you",
        ),
        (
            "{prompt: '{{ questoin }}!', solution: answer}",
            "prompt: the rows have no column 'questoin'",
        ),
        (
            "{gold: answer}",
            "the rows have no column 'prompt'; they have: question, answer; say which",
        ),
    ],
)
def test_columns_that_a_file_does_not_have_are_found_by_the_plan(
    columns: str, problem: str, tmp_path: Path
) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("question,answer\n1,2\n")
    (found,) = plan_of(file, f"sources.problems.columns={columns}")
    assert found.startswith("sources.problems.columns") and problem in found


@pytest.mark.parametrize("choice", [(), ("dataset=file",)])
def test_the_plan_says_which_columns_it_has_found(choice: Any, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("question,answer,level\n1,2,3\n")
    path = f"sources.problems.path={file}"
    plan = make_plan(compose(["recipe=zero", "scale=tiny", path, *choice], None))
    found = "prompt is the column 'question', solution is the column 'answer'"
    assert f"stages.zero.data.problems: {found}" in plan.notes


def test_a_file_of_ones_own_must_be_given() -> None:
    message = "sources.problems.path: must be given: a file of your own, such as mine.jsonl"
    assert problems("dataset=file") == [message]


@pytest.mark.parametrize(
    "path", ["no.jsonl", "no.JSONL.gz", "./no", "no rows", "no/*.csv", "no.txt"]
)
def test_a_file_that_is_not_there_is_not_looked_for_on_the_hub(path: str) -> None:
    assert f"stages.zero.data.problems.path: there is no file {path}" in problems(
        f"sources.problems.path='{path}'"
    )
