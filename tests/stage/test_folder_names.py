"""Names of runs, stages, sources and benchmarks are single, visible folders."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from r1trl.errors import ConfigError
from r1trl.plan.plan import make_plan
from r1trl.stage.code import code_of
from r1trl.stage.files import StageSpec
from r1trl.stage.folder_names import name_problems


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "/tmp/x",
        "a/b",
        "a\\b",
        ".",
        "..",
        ".old",
        ".lock",
        "-rf",
        "x\n",
        "x\r",
        "",
        " ",
        "a b",
        "a\0b",
        "a\u2028b",
        "a\u202eb",
        "\uff0e\uff0e",
        "ｘ",
        "con",
        "NUL.txt",
        "com1",
        "x" * 201,
        "长" * 67,
        "model.part",
        "*",
        "~",
        "$HOME",
        "<b>",
    ],
)
def test_a_name_that_could_leave_its_folder_or_hide_is_refused(name: str) -> None:
    (problem,) = name_problems({"stages": [name]})
    assert problem.startswith("stages: ") and "cannot be the name of a folder" in problem
    assert problem.isprintable()


@pytest.mark.parametrize(
    "name",
    ["zero", "r1-tiny", "a.b", "seed=1,lr=1e-6", "日本", "é", "_x", "+x", "x" * 200, "console"],
)
def test_other_names_are_possible(name: str) -> None:
    assert name_problems({"stages": [name]}) == []


def test_a_sweep_over_secrets_makes_no_folders_named_so(composed: Callable[..., Any]) -> None:
    override = "stages.zero.args.hub_token=hf_TypedTypedTyped987"
    with pytest.raises(ConfigError) as caught:
        make_plan(composed("recipe=zero", "scale=tiny", "name=x-hf_TypedTypedTyped987", override))
    assert "it has a secret in it" in str(caught.value)


def test_names_that_differ_in_case_alone_are_one_folder_on_some_disks() -> None:
    assert name_problems({"stages": ["Zero", "zero"], "benchmarks": ["zero"]}) == [
        "stages: 'zero' and 'Zero' are one folder on some disks"
    ]


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("name=../x", "name: '../x' cannot be the name of a folder"),
        ("name=.x", "name: '.x' cannot be the name of a folder"),
        (
            "stages.zero.data.problems.path=stage:zero_first/../../../x.jsonl",
            "is not in the folder",
        ),
        ("stages.zero.data.problems.path=stage:zero_first//etc/x.jsonl", "is not in the folder"),
    ],
)
def test_the_plan_refuses_them(override: str, said: str, composed: Callable[..., Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        make_plan(composed("recipe=zero", "scale=tiny", override))
    assert said in str(caught.value)


def test_code_that_a_stage_lets_run_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "run" / "stages" / "s"
    inside, outside = tmp_path / "run" / "mine.py", tmp_path / "other.py"
    plugins = {"load": [str(inside), str(outside), "acme.rewards"]}
    settings = {"model": "acme/model", "args": {"trust_remote_code": True}}
    said = list(code_of(StageSpec("s", "sft", "x", 1, settings, plugins=plugins), folder))
    loads = "stages.s: its stage.yaml loads the plugin"
    assert said == [
        f"{loads} {inside} (in the run's folder), whose code runs",
        f"{loads} {outside} (outside the run's folder), whose code runs",
        f"{loads} acme.rewards, whose code runs",
        "stages.s: args.trust_remote_code lets code of the model acme/model run",
    ]
    assert list(code_of(StageSpec("s", "sft", "x", 1, {}), folder)) == []
