"""Every dataset of conf/dataset is mapped from rows of its real shape; every model has its keys."""

from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from hub_rows import FIXTURES, GPQA, MATH, SUFFIX, ULTRAFEEDBACK
from omegaconf import OmegaConf

from r1trl.config.schema import SourceConfig
from r1trl.data.sources import load_source, map_columns
from r1trl.errors import StageError
from r1trl.plugins import loading

CONF = Path(__file__).parents[2] / "conf"


def load(file: Path) -> dict[str, Any]:
    """Read a config file as plain data."""
    return OmegaConf.to_container(OmegaConf.load(file))


DATASETS = {file.stem: load(file) for file in sorted((CONF / "dataset").glob("*.yaml"))}
HUB = {name: config for name, config in DATASETS.items() if "dataset" not in config}
MODELS = {file.stem: load(file) for file in sorted((CONF / "model").glob("*.yaml"))}


def test_every_hub_dataset_has_a_fixture() -> None:
    assert set(FIXTURES) == set(HUB)


@pytest.mark.parametrize("name", FIXTURES)
def test_first_row_is_mapped(name: str) -> None:
    rows, expected = FIXTURES[name]
    mapped = map_columns(Dataset.from_list(rows), HUB[name]["columns"])
    assert mapped[0] == expected
    assert len(mapped) == len(rows)
    assert set(mapped.column_names) == set(expected)


def test_options_of_a_choice_are_in_the_same_order_whichever_is_right() -> None:
    mapped = map_columns(Dataset.from_list(GPQA), HUB["gpqa-diamond"]["columns"])
    assert mapped[1]["prompt"].endswith("A) 4\nB) 5\nC) 6\nD) 7")
    assert mapped["solution"][:] == ["C", "D"]


def test_markup_in_a_row_is_left_alone() -> None:
    mapped = map_columns(Dataset.from_list(MATH), HUB["math"]["columns"])
    assert mapped[1]["prompt"] == "Find $x$ if ${x+{{1}}}=3$.\n" + SUFFIX
    pairs = map_columns(Dataset.from_list(ULTRAFEEDBACK), HUB["ultrafeedback-pairs"]["columns"])
    assert pairs[1]["chosen"] == "<bonjour>"


@pytest.mark.parametrize(
    ("name", "column"),
    [
        (name, value)
        for name, config in HUB.items()
        for value in config["columns"].values()
        if "{{" not in value
    ],
)
def test_a_missing_column_is_named(name: str, column: str) -> None:
    rows = Dataset.from_list(FIXTURES[name][0]).remove_columns(column)
    with pytest.raises(ValueError, match=column):
        map_columns(rows, HUB[name]["columns"])


@pytest.mark.parametrize("kind", ["dataset", "model"])
def test_files_say_where_they_belong_and_what_they_are(kind: str) -> None:
    for file in (CONF / kind).glob("*.yaml"):
        header, comment = file.read_text(encoding="utf-8").splitlines()[:2]
        assert header.startswith("# @package "), file
        assert comment.startswith("# ") and len(comment) > len("# "), file


@pytest.mark.parametrize("name", MODELS)
def test_model_has_its_keys(name: str) -> None:
    model = MODELS[name]
    optional = {"eos_token", "max_position_embeddings"}
    assert set(model) - optional == {"path", "dtype", "distill_learning_rate"}
    assert model["path"].lower().endswith("/" + name) or "r1trl_tiny" in model["path"]
    assert model["dtype"] in ("bfloat16", "float32")
    assert isinstance(model["distill_learning_rate"], float)


@pytest.mark.parametrize(
    ("name", "rate"),
    [
        ("qwen2.5-math-1.5b", 1e-4),
        ("qwen2.5-math-7b", 8e-5),
        ("qwen2.5-14b", 7e-5),
        ("qwen2.5-32b", 6e-5),
        ("llama-3.1-8b", 5e-5),
        ("llama-3.3-70b-instruct", 2e-5),
    ],
)
def test_students_of_the_paper_learn_at_its_rates(name: str, rate: float) -> None:
    assert MODELS[name]["distill_learning_rate"] == rate


def test_a_dataset_of_a_plugin_that_fails_is_named(plugin_file: Any) -> None:
    source = """
    import r1trl

    def mine():
        return {}["no such key"]

    @r1trl.hookimpl
    def r1trl_datasets():
        return {"mine": mine}
    """
    plugins = loading.load([plugin_file(source)])
    with pytest.raises(StageError, match=r"^data\.a: dataset 'mine': KeyError: 'no such key'"):
        load_source(SourceConfig(dataset="mine"), plugins, 1, "data.a")
