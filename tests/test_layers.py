"""Who may import whom: a lower layer never a higher one, and the core no plugin by name."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import r1trl

CORE = Path(r1trl.__file__).parent
PLUGINS = CORE.parent / "plugins"
# From low to high. Modules of one line do not import each other.
LAYERS = (
    "errors",
    "types responses follow measures charts tables nursery method cache onednn texts spans",
    "values hookspecs pool page processes stage servers batch packing traits",
    "verifier scoring scores report launch sampling decoding passes unpadded",
    "reward tally __init__ generate",
    "served",
    "offers config tracking",
    "plugins",
    "schema compose rewards references sources recording",
    "filtering prompts inference",
    "data answering",
    "offer_checks rollout training shards subject",
    "drawing_checks",
    "checks contract sample",
    "plan policy reward_model shapes check rescore",
    "trainer run readings",
    "trials",
    "worker preflight",
    "warm commands",
    "cli",
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names.split()}
MODULES = sorted(file.stem for file in CORE.glob("*.py"))
PLUGIN_FILES = sorted(PLUGINS.rglob("*.py"))


def imports(file: Path) -> Iterator[tuple[str, str]]:
    """Yield (module, name) for every import of a file, inside functions too."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file}: relative import"
            yield from ((node.module or "", alias.name) for alias in node.names)


def of_core(file: Path) -> set[str]:
    """Return the modules of the core that a file imports."""
    found = set()
    for module, name in imports(file):
        package, _, rest = module.partition(".")
        if package == "r1trl":
            found.add(rest or (name if name in MODULES else "__init__"))
    return found


def test_every_module_of_the_core_has_its_layer() -> None:
    assert set(MODULES) <= set(LEVEL), "a new module: say in LAYERS where it stands"


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_lower_ones(module: str) -> None:
    higher = {n for n in of_core(CORE / f"{module}.py") if LEVEL[n] >= LEVEL[module]}
    assert not higher


def test_there_is_no_cycle() -> None:
    left = {module: of_core(CORE / f"{module}.py") for module in MODULES}
    while left:
        free = {module for module, needed in left.items() if not needed & set(left)}
        assert free, f"these import each other: {sorted(left)}"
        left = {module: needed for module, needed in left.items() if module not in free}


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


@pytest.mark.parametrize("module", MODULES)
def test_the_core_names_no_plugin(module: str) -> None:
    packages = {folder.name for folder in PLUGINS.iterdir() if folder.name.startswith("r1trl_")}
    assert len(packages) > 5
    tree = ast.parse((CORE / f"{module}.py").read_text(encoding="utf-8"))
    documented = {
        node.body[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    named = {package for name, _ in imports(CORE / f"{module}.py") for package in packages & {name}}
    for node in ast.walk(tree):
        text = node.value if isinstance(node, ast.Constant) and node not in documented else None
        if isinstance(text, str):
            named |= {package for package in packages if package in text}
    assert not named
