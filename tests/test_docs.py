"""The documents agree with the code: paths, folders, layers, and the kind that they show."""

import ast
import dataclasses
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import r1trl
from r1trl.config.kinds import load_plugins

ROOT = Path(__file__).parent.parent
ARCHITECTURE = (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
PLUGINS = (ROOT / "docs" / "PLUGINS.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
KINDS = (ROOT / "docs" / "KINDS.md").read_text(encoding="utf-8")
FOLDERS = sorted(file.parent.name for file in (ROOT / "r1trl").glob("*/__init__.py"))
DOCUMENTS = sorted(
    file
    for pattern in (
        "*.md",
        "docs/*.md",
        "benchmarks/*.md",
        "examples/*.md",
        "examples/cluster/*.md",
    )
    for file in ROOT.glob(pattern)
)
PATH = re.compile(r"`((?:r1trl|tests|conf|docs|plugins|examples|benchmarks)/[\w./-]*)`")


def section(text: str, heading: str) -> str:
    """Return the text between a heading and the next one of its level."""
    return text.partition(f"## {heading}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_links_and_paths_of_a_document_exist(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    links = [file.parent / target for target in re.findall(r"\]\(([^)#:]+)(?:#[\w-]*)?\)", text)]
    paths = [*links, *(ROOT / path for path in PATH.findall(text))]
    assert not [path for path in paths if not path.exists()]


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_anchors_of_a_document_name_headings(file: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#:]*)#([\w-]+)\)", file.read_text(encoding="utf-8")):
        other = (file.parent / target if target else file).read_text(encoding="utf-8")
        headings = re.findall(r"^#+ (.*)$", other, re.M)
        slugs = [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]
        assert anchor in slugs, (target, anchor)


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_folder_is_described(folder: str) -> None:
    table = section(ARCHITECTURE, "The folders of r1trl/")
    assert f"| [{folder}/](../r1trl/{folder}) |" in table


def test_the_order_of_folders_is_that_of_the_layers() -> None:
    tree = ast.parse((ROOT / "tests" / "test_layers.py").read_text(encoding="utf-8"))
    layers = next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "LAYERS"
    )
    level = {name: i for i, names in enumerate(layers) for name in names.split()}
    groups = re.findall(r"^.* < .*$", section(ARCHITECTURE, "What may import what"), re.M)[0]
    order = [group.split() for group in groups.split(" < ")]
    assert sorted(name for group in order for name in group) == FOLDERS
    levels = [{level[name] for name in group} for group in order]
    assert all(len(group) == 1 for group in levels)
    assert levels == sorted(levels, key=min)
    assert len({min(group) for group in levels}) == len(levels)


@pytest.mark.slow
def test_the_site_is_built_without_a_warning_and_loads_nothing_from_elsewhere(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "docs", tmp_path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    pages = {page.stem: page.read_text(encoding="utf-8") for page in tmp_path.glob("*.html")}
    assert {file.stem for file in (ROOT / "docs").glob("*.md")} <= set(pages)
    assert 'href="DEMO.html"' in pages["index"] and "a-reward-in-ten-lines" in pages["index"]
    loaded = re.compile(r"<(?:script|img|link|iframe)\b[^>]*(?:src|href)=\"https?://")
    assert not [name for name, text in pages.items() if loaded.search(text)]


def test_it_answers_where_many_things_are() -> None:
    rows = re.findall(
        r"^\| Where .*\? \| .* \|$", section(ARCHITECTURE, "Where is …, where would … go"), re.M
    )
    assert len(rows) >= 25


def test_every_target_of_make_is_explained() -> None:
    phony = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    targets = [target for line in phony for target in line.split()]
    assert not [target for target in targets if f"| `make {target}` |" not in CONTRIBUTING]


def test_every_marker_of_tests_is_explained() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    markers = re.findall(
        r'^    "(\w+): ', project.partition("markers = [")[2].partition("]")[0], re.M
    )
    table = section(CONTRIBUTING, "Tests")
    assert markers and not [name for name in markers if f"| `{name}` |" not in table]


def test_every_dataset_of_a_plugin_is_listed() -> None:
    table = section(PLUGINS, "Datasets")
    assert not [name for name in load_plugins().offers["dataset"] if f"`{name}`" not in table]


def test_every_field_of_a_description_and_of_a_kind_is_explained() -> None:
    from r1trl.description import Description

    rewards, kinds = section(PLUGINS, "Rewards"), section(PLUGINS, "Kinds of stages")
    described = [field.name for field in dataclasses.fields(Description)]
    assert not [name for name in described if f"| `{name}" not in rewards]
    fields = [field.name for field in dataclasses.fields(r1trl.Kind)]
    assert not [name for name in fields if f"`{name}`" not in kinds]


def test_every_method_of_work_is_explained() -> None:
    methods = [name for name, value in vars(r1trl.Work).items() if callable(value)]
    public = [name for name in methods if not name.startswith("_")]
    kinds = section(PLUGINS, "Kinds of stages")
    assert len(public) > 5 and not [name for name in public if f"`{name}(" not in kinds]


def own_kind() -> str:
    """Return the kind that docs/KINDS.md shows."""
    [source] = [s for s in re.findall(r"```python\n(.*?)```", KINDS, re.S) if "r1trl_kinds" in s]
    return str(source)


def test_the_kind_that_is_shown_is_loaded_as_a_plugin(
    plugin_file: Callable[..., str],
) -> None:
    offer = load_plugins([plugin_file(own_kind(), "average.py")]).offers["kind"]["average"]
    assert offer.summary == "Average the weights of two models of the same architecture."
    assert offer.target.size(None) == "two models"


RECIPE = """
# @package _global_
stages:
  soup: {kind: average, model: "${model.path}", other: "${model.path}"}
  next: {kind: average, model: stage:soup, other: "${model.path}", weight: 0.25}
"""


@pytest.mark.slow
def test_the_kind_that_is_shown_runs(plugin_file: Callable[..., str], tmp_path: Path) -> None:
    plugin = plugin_file(own_kind(), "average.py")
    (tmp_path / "conf" / "recipe").mkdir(parents=True)
    (tmp_path / "conf" / "recipe" / "soup.yaml").write_text(RECIPE.lstrip(), encoding="utf-8")
    command = ["run", "--config-dir", "conf", "recipe=soup", "scale=tiny", "name=x"]
    done = subprocess.run(
        [sys.executable, "-m", "r1trl.cli", *command, f"plugins.load=[{plugin}]"],
        cwd=tmp_path,
        env=os.environ,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "runs" / "x" / "stages" / "next" / "model" / "model.safetensors").exists()


def test_what_has_run_on_a_gpu_is_said_of_every_test_and_benchmark_for_gpus() -> None:
    marked = {
        str(file.relative_to(ROOT))
        for file in (ROOT / "tests").rglob("test_*.py")
        if re.search(r"^(?:@|.*\[)pytest\.mark\.gpu\b", file.read_text(encoding="utf-8"), re.M)
    }
    said = set(re.findall(r"`((?:tests|benchmarks)/[\w/]+\.py)`", section(CONTRIBUTING, "GPUs")))
    assert marked and marked | {"benchmarks/gpu.py"} <= said
