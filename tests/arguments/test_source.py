"""TRL's arguments are checked against TRL's own source, which is read and not imported."""

import dataclasses
import subprocess
import sys
from typing import Any

import pytest

from r1trl.arguments.check import FIELDS, args_of, check_args
from r1trl.arguments.set_by_r1trl import SET_BY_R1TRL
from r1trl.arguments.source import defaults, fields
from r1trl.config.kinds import load_plugins
from r1trl.errors import ConfigError

KINDS = load_plugins().offers["kind"].values()
TRAINING_KINDS = {offer.name: offer.target for offer in KINDS if offer.target.trl_config}
CONFIGS = sorted({kind.trl_config for kind in TRAINING_KINDS.values()})
WRONG = [
    (
        {"learning_rtae": 1.0},
        "stages.x.args: GRPOConfig has no 'learning_rtae' (did you mean 'learning_rate'?)",
    ),
    ({"qqqq": 1.0}, "stages.x.args: GRPOConfig has no 'qqqq'"),
    (
        {"num_generations": "many"},
        "stages.x.args.num_generations: value 'many' of type 'str' is not an int",
    ),
    ({"beta": [1]}, "stages.x.args.beta: value '[1]' of type 'list' is not a float"),
    ({"use_vllm": "yes"}, "stages.x.args.use_vllm: value 'yes' of type 'str' is not a bool"),
    *(({name: 1}, f"stages.x.args.{name}: {field.reason}") for name, field in SET_BY_R1TRL.items()),
]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("config", CONFIGS)
def test_the_fields_that_are_read_are_those_of_the_real_config(config: str) -> None:
    import trl

    real = {field.name for field in dataclasses.fields(getattr(trl, config)) if field.init}
    assert set(fields(config)) == real


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", TRAINING_KINDS)
def test_every_default_of_the_real_config_is_possible_unless_its_field_is_refused(
    kind: str,
) -> None:
    import trl

    config, own = TRAINING_KINDS[kind].trl_config, TRAINING_KINDS[kind].fields
    table = {**FIELDS, **own}
    refused = {name for name, field in table.items() if field.verdict == "refused"}
    defaults: dict[str, Any] = {}
    for field in dataclasses.fields(getattr(trl, config)):
        if field.name in refused or not field.init:
            continue
        if field.default is not dataclasses.MISSING:
            defaults[field.name] = field.default
        elif field.default_factory is not dataclasses.MISSING:
            defaults[field.name] = field.default_factory()
    assert len(defaults) > 80
    assert check_args(config, defaults, "args", own) == []


@pytest.mark.parametrize("config", CONFIGS)
def test_reading_the_fields_imports_neither_trl_nor_torch(config: str) -> None:
    code = (
        "import sys; from r1trl.arguments.source import defaults, fields; "
        f"assert len(fields({config!r})) > 100; "
        "assert not {'trl', 'torch', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("config", "name", "type_"),
    [
        ("GRPOConfig", "num_generations", int | None),
        ("GRPOConfig", "beta", float),
        ("GRPOConfig", "use_vllm", bool),
        ("GRPOConfig", "learning_rate", float),
        ("SFTConfig", "max_length", int | None),
        ("RewardConfig", "max_steps", int),
    ],
)
def test_types_are_read_too(config: str, name: str, type_: Any) -> None:
    assert fields(config)[name] == type_


@pytest.mark.parametrize(("args", "problem"), WRONG)
def test_a_wrong_argument_is_named_with_its_key(args: dict[str, Any], problem: str) -> None:
    assert check_args("GRPOConfig", args, "stages.x.args") == [problem]


def test_all_wrong_arguments_are_told_at_once() -> None:
    args = {"learning_rtae": 1, "output_dir": "x", "beta": "much", "learning_rate": 1e-6}
    assert len(check_args("GRPOConfig", args, "args")) == 3


def test_numbers_that_yaml_reads_as_text_become_numbers() -> None:
    given = {"learning_rate": "1e-6", "max_steps": 3, "lr_scheduler_type": "constant"}
    assert check_args("SFTConfig", given, "args") == []
    assert args_of("SFTConfig", given) == {**given, "learning_rate": 1e-6}


def test_a_config_of_trls_experimental_part_is_read_too() -> None:
    assert {"learning_rate", "beta"} <= set(fields("ORPOConfig"))


def test_a_config_class_that_trl_does_not_have_is_named() -> None:
    with pytest.raises(ConfigError, match="TRL has no config class 'GRPOCnfig'"):
        fields("GRPOCnfig")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("config", CONFIGS)
def test_the_defaults_that_are_read_are_those_of_the_real_config(config: str) -> None:
    import trl

    real = {field.name: field.default for field in dataclasses.fields(getattr(trl, config))}
    read = defaults(config)
    assert len(read) > 80 and {name: real[name] for name in read} == read
