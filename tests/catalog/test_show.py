"""`r1trl show`: each value of a run with the file and line, or the override, that it is from."""

import re
from pathlib import Path

import pytest
import yaml

from r1trl.catalog.show import show
from r1trl.config.compose import conf_folder
from r1trl.errors import ConfigError

TINY = ("recipe=guards", "scale=tiny")  # its file has anchors, and mappings merged by <<
PLACE = re.compile(r"(conf/\S+\.yaml):(\d+)")


def table(text: str) -> dict[str, tuple[str, str]]:
    """Return the values and origins of a table by their keys."""
    head, *lines = text.splitlines()
    value, place = head.index("value"), head.index("from")
    return {
        line[:value].strip(): (line[value:place].strip(), line[place:].strip()) for line in lines
    }


@pytest.fixture(scope="module")
def shown() -> dict[str, tuple[str, str]]:
    """Return the table of a run with overrides."""
    overrides = ("seed=7", "stages.judge.args.learning_rate=1e-5", "stages.guarded.sampling.n=3")
    return table(show([*TINY, *overrides], None))


def test_the_line_that_a_value_is_from_has_its_key(shown: dict[str, tuple[str, str]]) -> None:
    seen = 0
    for key, (_, place) in shown.items():
        if match := PLACE.match(place):
            file = conf_folder().parent / match[1]
            line = file.read_text(encoding="utf-8").splitlines()[int(match[2]) - 1]
            name = key.rpartition(".")[2].replace("\\", "\\\\")
            assert f"{name}:" in line.replace('"', "") or line.lstrip().startswith("-"), (
                key,
                place,
                line,
            )
            seen += 1
    assert seen > 200


def test_overrides_are_named_and_references_followed(shown: dict[str, tuple[str, str]]) -> None:
    assert shown["seed"] == ("7", "override seed=7")
    rate = shown["stages.judge.args.learning_rate"]
    assert rate == ("1e-05", "override stages.judge.args.learning_rate=1e-5, TRL's default: 0.0001")
    value, place = shown["model.path"]
    assert value.endswith("models/base") and place.startswith("conf/model/tiny.yaml:")
    value, place = shown["stages.guarded.dtype"]
    assert value == "float32"
    assert re.fullmatch(
        r"conf/stage/evaluate.yaml:\d+ <- model.dtype \(conf/model/tiny.yaml:\d+\)", place
    )
    assert shown["name"] == ("guards-tiny", "r1trl")


def test_a_run_of_ones_own_folder_names_its_file(tmp_path: Path) -> None:
    (tmp_path / "recipe").mkdir()
    file = tmp_path / "recipe" / "mine.yaml"
    file.write_text("# @package _global_\ndefaults: [zero, _self_]\nseed: 5\n")
    told = table(show(["recipe=mine", "scale=tiny", "seed"], tmp_path))
    assert told == {"seed": ("5", f"{file}:3")}


def test_what_nothing_sets_is_added_with_its_default() -> None:
    words = ["recipe=zero", "scale=tiny", "stages.zero", "template"]
    told = table(show(words, None, defaults=True))
    assert not [key for key in told if not key.startswith(("stages.zero.", "template."))]
    assert told["template.zero"][1].startswith("conf/scale/tiny.yaml:")  # after conf/config.yaml
    assert told["stages.zero.scoring.deadline"] == ("10.0", "r1trl's default")
    assert told["stages.zero.args.adam_epsilon"] == ("1e-08", "TRL's default")
    assert told["stages.zero.args.bf16"][0] == "" and "dtype" in told["stages.zero.args.bf16"][1]
    assert told["stages.zero.args.beta"][1].endswith("TRL's default: 0.0")
    assert told["stages.zero.args.max_steps"][1].endswith("TRL's default: -1")
    assert told["stages.zero.args.top_p"][1].endswith("TRL's default too")


def test_as_yaml_it_is_the_composed_config_or_a_part() -> None:
    words = ["recipe=zero", "scale=tiny"]
    whole = show(words, None, as_yaml=True)
    assert whole.startswith("# composed from these overrides:\n# recipe=zero\n# scale=tiny\n")
    assert yaml.safe_load(whole)["stages"]["zero"]["dtype"] == "${model.dtype}"
    part = yaml.safe_load(show([*words, "stages.zero.data"], None, as_yaml=True))
    assert part == {"stages": {"zero": {"data": {"problems": {}}}}}


def test_a_part_that_is_not_there_is_refused_with_what_was_meant() -> None:
    with pytest.raises(ConfigError, match=r"stages\.zreo: there is no such part \(did you mean 's"):
        show(["recipe=zero", "stages.zreo"], None)
