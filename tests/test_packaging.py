"""The wheel: all of r1trl in one distribution that works from any folder."""

import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder with the wheel's content, built from this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT]
    subprocess.run(build, check=True, capture_output=True)
    wheel = next(folder.glob("*.whl"))
    target = folder / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", target]
    subprocess.run([*pip, wheel], check=True, capture_output=True)
    return target


def r1trl(installed: Path, folder: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "r1trl.cli", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(installed)},
        text=True,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_holds_the_core_the_plugins_the_configs_and_the_models(installed: Path) -> None:
    assert (installed / "r1trl" / "conf" / "recipe" / "r1.yaml").exists()
    for name in ("page.html", "page.css", "page.js", "../compare/compare.js"):
        assert (installed / "r1trl" / "report" / name).exists()
    assert (installed / "r1trl_tiny" / "models" / "base" / "model.safetensors").exists()
    plugins = {p.name for p in (ROOT / "plugins").iterdir() if (p / "__init__.py").exists()}
    assert plugins <= {p.name for p in installed.iterdir()}


def test_it_plans_from_any_folder_with_its_own_configs(installed: Path, tmp_path: Path) -> None:
    told = r1trl(installed, tmp_path, "plan", "recipe=full", "scale=tiny", "name=x")
    assert "14 stages" in told
    config = r1trl(installed, tmp_path, "plugins", "reward")
    assert "accuracy" in config


def test_the_oldest_transformers_that_is_tried_is_the_oldest_that_is_allowed() -> None:
    allowed = re.search(r'"transformers>=([0-9.]+)"', (ROOT / "pyproject.toml").read_text())
    assert allowed
    tried = (ROOT / ".ci" / f"transformers-{allowed[1]}.txt").read_text()
    assert f"transformers=={allowed[1]}.0\n" in tried
    assert f"test-transformers-{allowed[1]}" in (ROOT / "Makefile").read_text()


def pins(file: str) -> dict[str, str]:
    """Return the exact versions in a file of constraints, by name."""
    lines = [line.split("==") for line in (ROOT / file).read_text().split() if "==" in line]
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in lines}


def test_the_versions_for_vllm_are_those_that_the_extra_and_trl_allow() -> None:
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    given, of_trl = pins("constraints-vllm.txt"), [r for r in requires("trl") or () if "vllm" in r]
    wanted = [Requirement(text) for text in (*extra["vllm"], *of_trl)]
    assert {"vllm", "transformers"} <= {requirement.name for requirement in wanted}
    for requirement in wanted:
        assert requirement.specifier.contains(given[requirement.name]), requirement


def test_the_tests_under_vllms_versions_have_all_that_differ_from_the_others() -> None:
    given, plain = pins("constraints-vllm.txt"), pins("constraints.txt")
    differ = {name for name in given.keys() & plain.keys() if given[name] != plain[name]}
    tried = (ROOT / ".ci" / "transformers-vllm.txt").read_text()
    assert "\n-c ../constraints-vllm.txt\n" in tried
    assert differ == {n.replace("_", "-") for n in re.findall(r"^\w+$", tried, re.MULTILINE)}
