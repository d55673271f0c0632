"""Which values the keys of r1trl may have: choices and ranges, of the schema and of kinds."""

import dataclasses
import typing
from dataclasses import dataclass, field
from typing import Any

import pytest

from r1trl import Field
from r1trl.config import schema
from r1trl.config.parse import parse

INF, NAN = float("inf"), float("nan")
CONFIGS = [c for c in vars(schema).values() if dataclasses.is_dataclass(c) and c is not Field]
OUT_OF_RANGE: dict[tuple[Any, str], list[Any]] = {
    (schema.ModelConfig, "distill_learning_rate"): [0, -1.0, NAN],
    (schema.ModelConfig, "max_position_embeddings"): [0],
    (schema.StageConfig, "max_position_embeddings"): [0],
    (schema.SourceConfig, "sample_rows"): [0],
    (schema.SourceConfig, "weight"): [0, -1],
    (schema.SourceConfig, "take"): [0],
    (schema.RolloutConfig, "outputs"): [0],
    (schema.RolloutConfig, "minibatches"): [0],
    (schema.SamplingConfig, "n"): [0],
    (schema.SamplingConfig, "temperature"): [-0.1, NAN],
    (schema.SamplingConfig, "top_p"): [0, 1.1, NAN],
    (schema.SamplingConfig, "top_k"): [-1],
    (schema.SamplingConfig, "min_p"): [-0.1, 1.1],
    (schema.SamplingConfig, "repetition_penalty"): [0],
    (schema.SamplingConfig, "max_tokens"): [0],
    (schema.SamplingConfig, "batch_size"): [0],
    (schema.SamplingConfig, "stop_after_correct"): [0],
    (schema.SamplingConfig, "max_n"): [0],
    (schema.SamplingConfig, "shard_size"): [0],
    (schema.ScoringConfig, "deadline"): [0],
    (schema.ScoringConfig, "patience"): [0],
    (schema.ScoringConfig, "processes"): [0],
    (schema.ScoringConfig, "max_failure_rate"): [-0.1, 1.1],
    (schema.EndpointsConfig, "concurrency"): [0],
    (schema.EndpointsConfig, "timeout"): [0],
    (schema.EndpointsConfig, "patience"): [0],
    (schema.AdapterConfig, "rank"): [0],
    (schema.AdapterConfig, "alpha"): [0],
    (schema.AdapterConfig, "dropout"): [-0.1, 1],
    (schema.ServeConfig, "tensor_parallel"): [0],
    (schema.ServeConfig, "replicas"): [0],
    (schema.ServeConfig, "gpus"): [0],
    (schema.ServeConfig, "nodes"): [0],
    (schema.ServeConfig, "ready"): [0, NAN],
    (schema.ServeConfig, "restarts"): [-1],
    (schema.HardwareConfig, "memory"): [0],
    (schema.HardwareConfig, "tflops"): [0],
    (schema.HardwareConfig, "bandwidth"): [0],
    (schema.HardwareConfig, "mfu"): [0, 1.1],
    (schema.HardwareConfig, "mbu"): [0, 1.1],
    (schema.HardwareConfig, "layer_ms"): [0],
    (schema.HardwareConfig, "vllm_layer_ms"): [0],
    (schema.EvaluateConfig, "every"): [0],
    (schema.EvaluateConfig, "rows"): [0],
    (schema.EvaluateConfig, "max_share"): [0, 1.1],
    (schema.LaunchConfig, "nodes"): [0],
    (schema.LaunchConfig, "processes"): [0],
    (schema.LaunchConfig, "requeues"): [-1],
    (schema.LaunchConfig, "grace"): [-1, NAN],
    (schema.LaunchConfig, "timeout"): [0],
    (schema.WatchdogConfig, "seconds"): [9, NAN],
    (schema.RunConfig, "time_limit"): [0, -1],
    (schema.SourceConfig, "varied"): [0, 1.1],
    (schema.WandbConfig, "completions"): [-1],
    (schema.ReportConfig, "completions"): [-1],
    (schema.ProgressConfig, "seconds"): [0, -1, NAN],
    (schema.StageConfig, "batch"): [0],
    (schema.RunConfig, "seed"): [-1],
}
CHOICES = [
    (schema.LaunchConfig, "how", "locl", "did you mean 'local'"),
    (schema.HardwareConfig, "device", "cuda", "choose one of: gpu, cpu"),
    (schema.ScoringConfig, "on_failure", "masked", "did you mean 'mask'"),
    (schema.WandbConfig, "mode", "onlin", "did you mean 'online'"),
    (schema.ModelConfig, "dtype", "auto", "choose one of: bfloat16, float16, float32"),
    (schema.StageConfig, "dtype", "float23", "did you mean 'float32'"),
]


@dataclass
class Settings:
    share: float = field(default=0.5, metadata={"field": Field(at_least=0, at_most=1)})
    modes: list[str] = field(
        default_factory=list, metadata={"field": Field(choices=("a", "bb"), reason="see the paper")}
    )


def numbers_of(config: Any) -> list[str]:
    """Return the keys of a config that are numbers, or may be."""
    hints = typing.get_type_hints(config)
    return [n for n, h in hints.items() if {int, float} & {h, *typing.get_args(h)}]


def test_every_number_of_the_schema_has_a_range() -> None:
    there = {(config, name) for config in CONFIGS for name in numbers_of(config)}
    assert there == set(OUT_OF_RANGE)


@pytest.mark.parametrize(("config", "name"), OUT_OF_RANGE, ids=lambda x: getattr(x, "__name__", x))
def test_a_number_out_of_its_range_is_refused_with_its_key(config: Any, name: str) -> None:
    for value in OUT_OF_RANGE[config, name]:
        parsed, problems = parse(config, {name: value}, "at.")
        (problem,) = (line for line in problems if not line.endswith("must be given"))
        assert problem.startswith(f"at.{name}: {value:g} is not possible; it must be ")
        default = next(f.default for f in dataclasses.fields(config) if f.name == name)
        assert getattr(parsed, name) == default


@pytest.mark.parametrize(("config", "name", "value", "hint"), CHOICES)
def test_a_value_that_is_no_choice_is_refused_with_a_suggestion(
    config: Any, name: str, value: str, hint: str
) -> None:
    problems = parse(config, {name: value}, "at.")[1]
    (problem,) = (line for line in problems if not line.endswith("must be given"))
    assert problem.startswith(f"at.{name}: '{value}' is not possible") and hint in problem


@pytest.mark.parametrize(
    ("written", "dtype"),
    [("bf16", "bfloat16"), ("half", "float16"), ("fp16", "float16"), ("torch.float32", "float32")],
)
def test_a_dtype_may_be_written_in_other_ways(written: str, dtype: str) -> None:
    for config in (schema.ModelConfig, schema.StageConfig):
        assert parse(config, {"dtype": written})[0].dtype == dtype


def test_a_kind_may_say_which_values_its_settings_have() -> None:
    parsed, problems = parse(Settings, {"share": 2, "modes": ["a", "b"]}, "at.")
    assert problems == [
        "at.modes: 'b' is not possible (did you mean 'bb'?); choose one of: a, bb; see the paper",
        "at.share: 2 is not possible; it must be at least 0 and at most 1",
    ]
    assert parsed == Settings()
    assert parse(Settings, {"share": 1, "modes": ["a"]})[1] == []


def test_an_entry_that_lacks_a_key_suggests_the_one_that_was_meant() -> None:
    @dataclass
    class Models:
        models: dict[str, schema.ModelConfig] = field(default_factory=dict)

    values = {"models": {"base": {"path": "m"}, "bsae": {"dtype": "float32"}, "x": {}}}
    assert parse(Models, values)[1] == [
        "models.bsae.path: must be given for a new entry (did you mean 'base'?)",
        "models.x.path: must be given",
    ]
