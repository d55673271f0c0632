"""Every recipe composes and plans at both scales; what it composes to is kept in snapshots/.

`python tests/test_recipes.py` writes the snapshots anew: a change in conf/ then shows its effect.
"""

import dataclasses
import functools
from pathlib import Path
from typing import Any

import pytest
import yaml
from regress_rows import bfcl_folder

from r1trl.config.checked import Composed
from r1trl.config.compose import compose, conf_folder
from r1trl.config.schema import RunConfig
from r1trl.errors import ConfigError
from r1trl.plan.plan import Plan, make_plan

RECIPES = ("zero", "r1", "distill", "distill_family", "full", "dapo", "dr_grpo")
RECIPES += ("length_schedule", "search", "sensitivity", "guards", "regress", "robust")
SCALES = ("paper", "tiny")
SNAPSHOTS = Path(__file__).parent / "snapshots"
BFCL = ("regress", "paper")  # needs the wheel of bfcl-eval
DATASETS = sorted(file.stem for file in (conf_folder() / "dataset").glob("*.yaml"))
DATASETS.remove("file")  # one's own, whose path must be given: tests/config/test_sources.py
MODELS = sorted(file.stem for file in (conf_folder() / "model").glob("*.yaml"))
BASE = "Qwen/Qwen2.5-7B"


@functools.cache
def run_of(recipe: str, scale: str, *overrides: str) -> Composed:
    """Compose a recipe."""
    return compose([f"recipe={recipe}", f"scale={scale}", f"name={recipe}", *overrides], None)


def snapshot(recipe: str, scale: str) -> str:
    """Return the composed recipe with the folder of the tiny world's package by its name."""
    import r1trl_tiny

    run = run_of(recipe, scale)
    values = yaml.safe_load(run.text)
    values["stages"] = _resolved(run.config, values["stages"])
    written = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=100)
    return written.replace(str(Path(r1trl_tiny.__file__).parent), "<r1trl_tiny>")


def _resolved(config: RunConfig, stages: Any) -> Any:
    """Return the stages with their interpolations resolved, no key added."""
    return {name: _values_of(config.stages[name], stage) for name, stage in stages.items()}


def _values_of(made: Any, written: Any) -> Any:
    if not isinstance(written, dict):  # a whole source may be named: ${sources.…}
        return dataclasses.asdict(made) if dataclasses.is_dataclass(made) else made
    get = made.get if isinstance(made, dict) else functools.partial(getattr, made)
    return {key: _values_of(get(key), value) for key, value in written.items()}


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_composed_recipe_equals_its_snapshot(recipe: str, scale: str) -> None:
    file = SNAPSHOTS / f"{recipe}-{scale}.yaml"
    assert snapshot(recipe, scale) == file.read_text(encoding="utf-8"), (
        "conf/ has changed what this recipe is; if that is meant: python tests/test_recipes.py"
    )


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_plans(recipe: str, scale: str, tmp_path: Path) -> None:
    calls = f"benchmarks.calls.options.path={bfcl_folder(tmp_path)}"
    plan = make_plan(run_of(recipe, scale, *([calls] if (recipe, scale) == BFCL else [])))
    own = {"guards": "requests", "search": "search"}
    own |= dict.fromkeys(("sensitivity", "robust"), "sensitivity")
    last = own.get(recipe, "scoreboard")
    assert [stage.spec.stage for stage in plan.stages][-1] == last


def test_there_is_a_snapshot_for_every_recipe_and_no_other() -> None:
    shipped = {file.stem for file in (conf_folder() / "recipe").glob("*.yaml")}
    assert shipped == set(RECIPES)
    kept = {file.stem for file in SNAPSHOTS.glob("*.yaml")}
    assert kept == {f"{recipe}-{scale}" for recipe in RECIPES for scale in SCALES}


def at(recipe: str, key: str, scale: str = "paper") -> Any:
    """Return the value of a key of a composed recipe's stages."""
    place: Any = run_of(recipe, scale).config.stages
    for part in key.split("."):
        place = place[part] if isinstance(place, dict) else getattr(place, part)
    return place


RL = ("zero_first", "zero", "dev2", "r1", "student_rl")
SFT = ("dev1", "dev3", "student")
PAPER: list[tuple[str, Any]] = [
    # section 2.1: R1-Zero; the same settings serve every other reinforcement learning
    *((f"{stage}.args.learning_rate", 3e-6) for stage in RL),
    *((f"{stage}.args.beta", 0.001) for stage in RL),
    *((f"{stage}.args.epsilon", 10.0) for stage in RL),
    *((f"{stage}.args.num_generations", 16) for stage in RL),
    *((f"{stage}.rollout.outputs", 8192) for stage in RL),
    *((f"{stage}.rollout.minibatches", 16) for stage in RL),
    *((f"{stage}.args.num_iterations", 1) for stage in RL),
    *((f"{stage}.args.sync_ref_model", True) for stage in RL),
    *((f"{stage}.args.ref_model_sync_steps", 400) for stage in RL),
    *((f"{stage}.args.ref_model_mixup_alpha", 1.0) for stage in RL),
    ("zero_first.args.temperature", 1.0),
    ("zero.args.temperature", 1.0),
    ("zero_first.args.max_steps", 8200),
    ("zero_first.args.max_completion_length", 32768),
    ("zero.args.max_steps", 2200),
    ("zero.args.max_completion_length", 65536),
    ("zero_first.rewards", {"accuracy", "think_format"}),
    *((f"{stage}.rewards.reflection_words", {"weight": 0.0}) for stage in RL),
    # section 3: cold start, reasoning RL with language consistency, everything
    ("dev2.rewards", {"accuracy", "think_format", "language_consistency"}),
    ("r1.args.temperature", 0.7),
    ("r1.args.max_steps", 1700),
    ("r1.samplers.phases.start_steps", {"helpful": 1300, "safety": 1300}),
    ("r1.rewards.helpfulness.from_step", 1300),
    ("r1.rewards.helpfulness.where", {"source": "helpful"}),
    ("r1.rewards.helpfulness.model", "stage:helpful_rm"),
    ("r1.rewards.safety.from_step", 1300),
    ("r1.rewards.safety.where", {"source": "safety"}),
    ("r1.rewards.safety.model", "stage:safety_rm"),
    # section 3.1: reward models
    *((f"{stage}.args.learning_rate", 6e-6) for stage in ("helpful_rm", "safety_rm")),
    *((f"{stage}.batch", 256) for stage in ("helpful_rm", "safety_rm")),
    *((f"{stage}.args.num_train_epochs", 1) for stage in ("helpful_rm", "safety_rm")),
    *((f"{stage}.args.max_length", 8192) for stage in ("helpful_rm", "safety_rm")),
    ("helpful_rm.objective", "pairwise"),
    ("helpful_rm.text", "summary"),
    ("safety_rm.objective", "pointwise"),
    ("safety_rm.text", "response"),
    # section B.4.2 and B.4.3: supervised fine-tuning and distillation
    *((f"{stage}.args.learning_rate", 5e-5) for stage in ("dev1", "dev3")),
    *((f"{stage}.args.lr_scheduler_type", "cosine_with_min_lr") for stage in SFT),
    *((f"{stage}.args.lr_scheduler_kwargs", {"min_lr_rate": 0.1}) for stage in SFT),
    *((f"{stage}.args.num_train_epochs", 2) for stage in SFT),
    *((f"{stage}.args.max_length", 32768) for stage in SFT),
    *((f"{stage}.batch", 128) for stage in ("dev1", "dev3")),
    ("student.batch", 64),
    # where weights start
    ("zero_first.model", BASE),
    ("zero.model", "stage:zero_first"),
    ("dev1.model", BASE),
    ("dev2.model", "stage:dev1"),
    ("dev3.model", BASE),
    ("r1.model", "stage:dev3"),
    ("r1_samples.model", "stage:r1"),
    ("student.model", "Qwen/Qwen2.5-Math-1.5B"),
    ("student_rl.model", "Qwen/Qwen2.5-Math-1.5B"),
    # section 4: evaluation
    ("scoreboard.sampling.temperature", 0.6),
    ("scoreboard.sampling.top_p", 0.95),
    ("scoreboard.sampling.n", 64),
    ("scoreboard.sampling.max_tokens", 32768),
    (
        "scoreboard.models",
        {"base", "zero", "dev1", "dev2", "dev3", "r1", "student_base", "student", "student_rl"},
    ),
]


@pytest.mark.parametrize(("key", "value"), PAPER, ids=[key for key, _ in PAPER])
def test_the_papers_numbers_hold(key: str, value: Any) -> None:
    found = at("full", key)
    if key.endswith(".rewards"):  # those that are trained on; others are recorded
        found = {name for name, options in found.items() if options["weight"]}
    assert (set(found) if isinstance(value, set) else found) == value


@pytest.mark.parametrize("recipe", ["zero", "r1", "distill"])
def test_a_part_of_the_full_recipe_is_the_same_on_its_own(recipe: str) -> None:
    part, full = run_of(recipe, "paper").config.stages, run_of("full", "paper").config.stages
    alone = {"scoreboard", "r1_samples"}  # these name the models that there are
    for name in set(part) - alone:
        assert part[name] == full[name]


def test_dapo_and_dr_grpo_are_what_their_papers_say() -> None:
    dapo = run_of("dapo", "paper").config.stages["dapo"]
    known = {"loss_type": "dapo", "epsilon": 0.2, "epsilon_high": 0.28, "beta": 0.0}
    assert {**dapo.args, **known, "learning_rate": 1e-6} == dapo.args
    assert dapo.rewards["soft_overlong"] == {"weight": 1.0, "max_tokens": 20480, "cache": 4096}
    assert list(dapo.samplers) == ["dynamic"]
    dr_grpo = run_of("dr_grpo", "paper").config.stages["dr_grpo"]
    known = {"loss_type": "dr_grpo", "scale_rewards": "none", "beta": 0.0}
    assert {**dr_grpo.args, **known, "max_completion_length": 3000} == dr_grpo.args


def test_updates_are_of_512_outputs_from_32_prompts() -> None:
    rollout, group = at("full", "zero_first.rollout"), at("full", "zero_first.args.num_generations")
    assert rollout.outputs // rollout.minibatches == 512 == 32 * group
    steps = [at("full", f"{stage}.args.max_steps") for stage in ("zero_first", "zero")]
    assert sum(steps) == 10400


def test_general_data_and_rewards_take_part_in_the_last_400_steps_only() -> None:
    assert at("full", "r1.args.max_steps") - at("full", "r1.rewards.safety.from_step") == 400
    assert list(at("full", "r1.data")) == ["problems", "helpful", "safety"]


def test_the_tiny_scale_changes_sizes_data_and_models_and_nothing_else() -> None:
    sizes = {"max_steps", "num_generations", "learning_rate", "ref_model_sync_steps", "save_steps"}
    sizes |= {"per_device_train_batch_size", "gradient_checkpointing", "max_completion_length"}
    sizes |= {"num_train_epochs", "max_length", "eos_token"}  # the last is the model's
    paper, tiny = (run_of("full", scale).config.stages for scale in SCALES)
    assert list(paper) == list(tiny)
    for name, stage in paper.items():
        other = tiny[name]
        by_rules = {"instructions", "safe_reply", "first_of"} if name == "scoreboard" else set()
        assert stage.kind == other.kind
        assert stage.rewards.keys() == other.rewards.keys() - by_rules
        assert stage.transitions == other.transitions and stage.filters == other.filters
        changed = {k for k in stage.args if stage.args[k] != other.args.get(k)}
        assert changed <= sizes and stage.args.keys() == other.args.keys()


@functools.cache
def run_with_every_dataset(*overrides: str) -> Composed:
    """Compose Zero with every dataset as a further source and a further benchmark."""
    mounted = [f"+dataset@sources.{_key(name)}={name}" for name in DATASETS]
    used = [f"stages.zero.data.{_key(name)}={{}}" for name in DATASETS]
    return compose(["recipe=zero", "name=x", *mounted, *used, *overrides], None)


def _key(name: str) -> str:
    return name.replace("-", "_").replace(".", "_")


def test_zero_plans_with_every_dataset_at_once(tmp_path: Path) -> None:
    make_plan(run_with_every_dataset(f"sources.bfcl.options.path={bfcl_folder(tmp_path)}"))


def test_a_plan_without_bfcls_wheel_says_how_it_is_got() -> None:
    with pytest.raises(
        ConfigError, match=r"benchmarks\.calls\.options: bfcl-eval is not installed"
    ):
        make_plan(run_of(*BFCL))


@pytest.mark.parametrize("name", DATASETS)
def test_a_dataset_composes_with_zero(name: str) -> None:
    written = yaml.safe_load((conf_folder() / "dataset" / f"{name}.yaml").read_text())
    source = run_with_every_dataset().config.stages["zero"].data[_key(name)]
    assert (source.path, source.dataset) == (written.get("path"), written.get("dataset"))
    assert source.columns == written.get("columns", {})


@functools.cache
def plan_with(model: str, student: str) -> Plan:
    """Plan a distillation with a model and a student."""
    overrides = ["recipe=distill", "name=x", f"model={model}", f"model@student={student}"]
    return make_plan(compose(overrides, None))


@pytest.mark.parametrize(
    ("model", "student"),
    [(a, b) for a, b in zip(MODELS[::2], [*MODELS[1::2], MODELS[0]], strict=False)],
)
def test_every_model_composes_as_teacher_or_student(model: str, student: str) -> None:
    config = plan_with(model, student).config
    for name, found in ((model, config.model), (student, config.student)):
        written = yaml.safe_load((conf_folder() / "model" / f"{name}.yaml").read_text())
        tail = written["path"].partition("}")[2] or written["path"]
        assert found.path.endswith(tail) and found.dtype == written["dtype"]
    assert config.stages["student"].args["learning_rate"] == config.student.distill_learning_rate


def write_snapshots() -> None:
    """Write every snapshot anew."""
    SNAPSHOTS.mkdir(exist_ok=True)
    for recipe in RECIPES:
        for scale in SCALES:
            file = SNAPSHOTS / f"{recipe}-{scale}.yaml"
            file.write_text(snapshot(recipe, scale), encoding="utf-8")


if __name__ == "__main__":
    write_snapshots()
