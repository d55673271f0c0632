"""What a stage reads is found wherever its settings name it."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from r1trl.config.kinds import load_plugins, stage_class
from r1trl.config.parse import parse
from r1trl.identity.identity import compared_settings
from r1trl.identity.inputs import inputs_of
from r1trl.stage.files import StageSpec


@pytest.fixture
def there(tmp_path: Path) -> Path:
    """Return a folder with files that settings may name."""
    for name in ("template.jinja", "words.txt", "rows.jsonl", "zero.json"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    (tmp_path / "empty").mkdir()
    return tmp_path


def read_by(kind: str, **settings: Any) -> dict[str, str]:
    """Return what a stage reads, by its keys."""
    class_ = stage_class(load_plugins().kind(kind))
    stage: Any
    stage, problems = parse(class_, {"kind": kind, **settings})
    assert problems == []
    return {".".join(each.key): each.value for each in inputs_of(stage, asdict(stage))}


CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "args.chat_template_path": ("sft", {"args": {"chat_template_path": "{}/template.jinja"}}),
    "args.deepspeed": ("sft", {"args": {"deepspeed": "{}/zero.json"}}),
    "rewards.a.words": ("grpo", {"rewards": {"a": {"words": "{}/words.txt"}}}),
    "rewards.a.model": ("grpo", {"rewards": {"a": {"model": "{}/model"}}}),
    "rewards.b.model": ("grpo", {"rewards": {"b": {"model": "stage:helpful"}}}),
    "filters.token_length.tokenizer": (
        "sft",
        {"filters": {"token_length": {"tokenizer": "{}/model"}}},
    ),
    "data.a.path": ("sft", {"data": {"a": {"path": "{}/rows.jsonl"}}}),
    "data.a.filters.words.file": (
        "sft",
        {"data": {"a": {"path": None, "filters": {"words": {"file": "{}/words.txt"}}}}},
    ),
    "data.a.options.files.0": ("sft", {"data": {"a": {"options": {"files": ["{}/words.txt"]}}}}),
    "filters.clean.benchmarks.b.path": (
        "sft",
        {"filters": {"clean": {"benchmarks": {"b": {"path": "{}/rows.jsonl", "dataset": None}}}}},
    ),
    "models.m.path": ("evaluate", {"models": {"m": {"path": "{}/model"}}}),
    "teacher": ("distillation", {"teacher": "{}/model"}),
}


@pytest.mark.parametrize("key", CASES)
def test_a_setting_that_names_what_is_read_is_found_and_no_setting_twice(
    key: str, there: Path
) -> None:
    kind, settings = CASES[key]
    filled = json.loads(json.dumps(settings).replace("{}", str(there)))
    found = read_by(kind, **filled)
    assert list(found) == [key]
    assert found[key].startswith((str(there), "stage:helpful"))
    spec = StageSpec("x", kind, "run", 1, filled)
    assert str(there) not in json.dumps(compared_settings(spec, found))


NONE: dict[str, dict[str, Any]] = {
    "a server's model": {"rewards": {"a": {"model": "gpt-5"}}},
    "what a transition writes": {"transitions": {"a": {"file": "{}/words.txt"}}},
    "a text": {"template": "{}/words.txt", "prefill": "{}/words.txt"},
    "what is not there": {"rewards": {"a": {"words": "{}/gone.txt"}}},
    "a folder without a model": {"rewards": {"a": {"cache": "{}/empty"}}},
    "a long text": {"rewards": {"a": {"prompt": "/" + "x" * 9999}}},
    "a text with a null byte": {"rewards": {"a": {"prompt": "a.b\x00"}}},
}


@pytest.mark.parametrize("what", NONE)
def test_what_is_not_read_is_none_of_it(what: str, there: Path) -> None:
    settings = json.loads(json.dumps(NONE[what]).replace("{}", str(there)))
    assert read_by("grpo", **settings) == {}


def test_benchmarks_of_the_run_are_read_by_stages_that_have_them_in_their_settings() -> None:
    class_ = stage_class(load_plugins().kind("sft"))
    stage: Any
    stage, _ = parse(class_, {"kind": "sft", "benchmarks": {"b": {"path": "some/benchmark"}}})
    settings = asdict(stage)
    assert [each.value for each in inputs_of(stage, settings)] == ["some/benchmark"]
    assert inputs_of(stage, {**settings, "benchmarks": {}}) == []


LEFT = {
    "checkpoints": "last",
    "args": {"save_total_limit": 3, "disable_tqdm": True, "hub_token": "x"},
    "scoring": {"processes": 3, "patience": 99.0},
    "endpoints": {"urls": ["http://b"], "timeout": 1.0, "api_key_env": "KEY"},
    "models": {"m": {"endpoints": {"urls": ["http://b"]}}},
}
COUNTS: list[dict[str, Any]] = [
    {"args": {"learning_rate": 1.0}},
    {"scoring": {"deadline": 1.0}},
    {"endpoints": {"model": "other"}},
    {"models": {"m": {"endpoints": {"model": "other"}}}},
]


def test_few_settings_are_left_out_of_an_identity() -> None:
    def compared(settings: dict[str, Any]) -> Any:
        return compared_settings(StageSpec("x", "grpo", "run", 1, settings), ())

    assert compared(LEFT) == compared(
        {"args": {}, "scoring": {}, "endpoints": {}, "models": {"m": {"endpoints": {}}}}
    )
    for settings in COUNTS:
        assert str(settings)[1:-1] in str(compared(settings))


def test_a_name_with_dots_is_one_part_of_a_key() -> None:
    settings = {"data": {"math.500": {"path": "x.jsonl", "split": "test"}}}
    compared = compared_settings(StageSpec("x", "sft", "run", 1, settings), ["data.math.500.path"])
    assert compared["data"] == {"math.500": {"split": "test"}}
