"""The source of plugins: all of a package, a file by itself, the core's own by their folders."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from r1trl.config.kinds import load_plugins
from r1trl.identity.sources import Sources, offers_of, source_of
from r1trl.storage.digests import Digests

CODE = """
import r1trl

def short(prompts, completions, completion_ids, **columns):
    return [1.0] * len(completions)

@r1trl.hookimpl
def r1trl_rewards():
    return {"short": short}
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the folder of an importable package with a plugin in it, its helpers and data."""
    folder = tmp_path / "acme_words"
    (folder / "rewards").mkdir(parents=True)
    for name, text in {
        "__init__.py": "",
        "helpers.py": "LIMIT = 3",
        "words.txt": "one",
        "rewards/__init__.py": CODE,
        "conf/recipe/mine.yaml": "stages: {}",
        "__pycache__/helpers.pyc": "x",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    yield folder
    for name in [each for each in sys.modules if each.startswith("acme_words")]:
        del sys.modules[name]


def digests_with(plugin: str, settings: dict[str, Any]) -> dict[str, str]:
    """Return the digests of the packages of a stage of kind sample."""
    return Sources(load_plugins([plugin]), Digests()).of("sample", settings)


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("helpers.py", True),
        ("words.txt", True),
        ("rewards/__init__.py", True),
        ("new.py", True),
        ("conf/recipe/mine.yaml", False),
        ("__pycache__/helpers.pyc", False),
        (".hidden", False),
    ],
)
def test_all_of_a_package_counts_but_its_configs_and_what_python_writes(
    name: str, counts: bool, package: Path
) -> None:
    settings = {"rewards": {"short": {}}}
    before = digests_with("acme_words.rewards", settings)
    assert set(before) == {"acme_words", "r1trl.kinds"}
    (package / name).write_text(f"{CODE}# changed")
    assert (digests_with("acme_words.rewards", settings) != before) is counts


def test_a_package_that_a_stage_does_not_use_is_no_part_of_it(package: Path) -> None:
    assert set(digests_with("acme_words.rewards", {"rewards": {}})) == {"r1trl.kinds"}
    assert set(digests_with("acme_words.rewards", {"rewards": {"short": None}})) == {"r1trl.kinds"}


def test_a_plugin_that_is_a_file_is_known_by_its_name_wherever_it_lies(
    plugin_file: Any, tmp_path: Path
) -> None:
    path = plugin_file(CODE)
    before = digests_with(path, {"rewards": {"own": {"reward": "short"}}})
    assert set(before) == {"mine.py", "r1trl.kinds"}
    (tmp_path / "elsewhere").mkdir()
    moved = Path(path).rename(tmp_path / "elsewhere" / "mine.py")
    assert digests_with(str(moved), {"rewards": {"short": {}}}) == before


def test_offers_are_found_wherever_a_stage_picks_them() -> None:
    settings = {
        "rewards": {"accuracy": {}, "off": None},
        "filters": {"decontaminate": {"benchmarks": {"b": {"path": None, "dataset": "tiny"}}}},
        "data": {"a": {"filters": {"head": {}}, "dataset": "tiny_problems"}},
        "models": {"m": {"samplers": {"best_of": {}}}},
        "transitions": {"plateau": {}},
    }
    found = {(o.role, o.name) for o in offers_of("sample", settings, load_plugins())}
    expected = {("kind", "sample"), ("reward", "accuracy"), ("filter", "decontaminate")}
    expected |= {("filter", "head"), ("dataset", "tiny_problems"), ("transition", "plateau")}
    assert expected <= found


def test_the_built_in_plugins_are_packages_of_their_own_and_the_core_is_none() -> None:
    plugins = load_plugins()
    name, files = source_of(plugins.manager.get_plugin("kinds"))
    assert name == "r1trl.kinds" and "sft.py" in files and "errors.py" not in files
    name, files = source_of(plugins.manager.get_plugin("tiny"))
    assert name == "r1trl_tiny" and "models/base/model.safetensors" in files
