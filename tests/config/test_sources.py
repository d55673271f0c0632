"""Where a source's rows come from: of a path and a dataset the user's own counts, and the last."""

from pathlib import Path
from typing import Any

import pytest

from r1trl.config.compose import compose

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
