"""Who may import whom: a lower folder never a higher one, no cycle, and the core no plugin."""

import ast
import dataclasses
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import r1trl
from r1trl.config.kinds import load_plugins
from r1trl.config.schema import StageConfig

CORE = Path(r1trl.__file__).parent
PLUGINS = CORE.parent / "plugins"
# From low to high; those on one line do not import each other. `names` is r1trl/__init__.py.
LAYERS = (
    "process",
    "errors decoding packing",
    "fields description intervals chat formats storage",
    "types kind models variants",
    "samplers trackers",
    "hookspecs",
    "plugins",
    "rewards config",
    "names stage arguments",
    "files identity watch",
    "serve tracking",
    "data report checkpoints dealing",
    "generation plan training live",
    "estimate evaluation compare",
    "launch",
    "trust rescore doctor catalog",
    "kinds",
    "run",
    "rehearsal eval new",
    "sweep",
    "commands",
    "cli",
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names.split()}
FILES = sorted(CORE.rglob("*.py"))
FOLDERS = sorted(folder for folder in CORE.iterdir() if (folder / "__init__.py").exists())
PLUGIN_FILES = sorted(PLUGINS.rglob("*.py"))


def name_of(file: Path) -> str:
    """Return a file's path below the core, for a test's name."""
    return str(file.relative_to(CORE))


def imports(file: Path) -> Iterator[tuple[str, str]]:
    """Yield (module, name) for every import of a file, inside functions too."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file}: relative import"
            yield from ((node.module or "", alias.name) for alias in node.names)


def modules_imported(file: Path) -> set[Path]:
    """Return the files of the core that a file imports."""
    found = set()
    for module, name in imports(file):
        if module.partition(".")[0] != "r1trl":
            continue
        parts = [*module.split(".")[1:], *([name] if name else [])]
        for end in range(len(parts), -1, -1):
            path = CORE.joinpath(*parts[:end])
            if path.with_suffix(".py").is_file() or (path / "__init__.py").is_file():
                is_module = path.with_suffix(".py").is_file()
                found.add(path.with_suffix(".py") if is_module else path / "__init__.py")
                break
    return found


def room_of(file: Path) -> str:
    """Return the name by which LAYERS knows a file: its folder, or itself."""
    parts = file.relative_to(CORE).parts
    if len(parts) > 1:
        return parts[0]
    return "names" if file.name == "__init__.py" else file.stem


def test_every_folder_and_module_has_its_layer() -> None:
    assert {room_of(file) for file in FILES} == set(LEVEL), "say in LAYERS where it stands"


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_a_module_imports_only_its_own_folder_and_lower_ones(file: Path) -> None:
    rooms = {room_of(other) for other in modules_imported(file)} - {room_of(file)}
    assert not {room for room in rooms if LEVEL[room] >= LEVEL[room_of(file)]}


def test_there_is_no_cycle() -> None:
    left = {file: modules_imported(file) - {file} for file in FILES}
    while left:
        free = {file for file, needed in left.items() if not needed & set(left)}
        assert free, f"these import each other: {sorted(map(name_of, left))}"
        left = {file: needed for file, needed in left.items() if file not in free}


@pytest.mark.parametrize("folder", FOLDERS, ids=name_of)
def test_a_folder_says_what_it_is_for_and_holds_at_most_ten_modules(folder: Path) -> None:
    purpose = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8")))
    assert purpose and len(purpose) > 80 and "import" in purpose.lower()
    assert len([file for file in folder.glob("*.py") if file.name != "__init__.py"]) <= 10


@pytest.mark.parametrize(
    "file", [*FILES, *PLUGIN_FILES], ids=lambda file: f"{file.parent.name}.{file.stem}"
)
def test_a_module_has_at_most_200_lines(file: Path) -> None:
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 200


@pytest.mark.parametrize("file", PLUGIN_FILES, ids=lambda f: str(f.relative_to(PLUGINS)))
def test_a_plugin_imports_only_public_names(file: Path) -> None:
    for module, name in imports(file):
        if module.partition(".")[0] == "r1trl":
            assert module == "r1trl" and name in ("", *r1trl.__all__), (module, name)
    used = re.findall(r"\br1trl\.(\w+)", file.read_text(encoding="utf-8"))
    assert set(used) <= set(r1trl.__all__)


@pytest.mark.parametrize("file", PLUGIN_FILES, ids=lambda f: str(f.relative_to(PLUGINS)))
def test_a_plugin_imports_no_other_plugin(file: Path) -> None:
    own = file.relative_to(PLUGINS).parts[0]
    for module, _ in imports(file):
        package = module.partition(".")[0]
        assert not package.startswith("r1trl_") or package == own


def constants(file: Path) -> Iterator[str]:
    """Yield every string constant of a file that is no docstring."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    documented = {
        node.body[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and node not in documented
            and isinstance(node.value, str)
        ):
            yield node.value


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_the_core_names_no_plugin(file: Path) -> None:
    packages = {folder.name for folder in PLUGINS.iterdir() if folder.name.startswith("r1trl_")}
    assert len(packages) > 5
    named = {package for name, _ in imports(file) for package in packages & {name}}
    named |= {package for text in constants(file) for package in packages if package in text}
    assert not named


@functools.cache
def kinds() -> frozenset[str]:
    """Return the names of the kinds of stages that the installed plugins offer.

    Without those that a key of a stage has too.
    """
    keys = {field.name for field in dataclasses.fields(StageConfig)}
    return frozenset(load_plugins().offers["kind"]) - keys


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_the_core_names_no_kind(file: Path) -> None:
    assert len(kinds()) >= 7
    assert room_of(file) == "kinds" or not kinds() & set(constants(file))
