"""Completions are drawn as TRL draws them, and known values of them are those that TRL computes."""

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import trl
from datasets import Dataset
from plain_sgd import PLAIN_SGD

from r1trl.config.stage_parts import ScoringConfig
from r1trl.rewards.bound_reward import BoundReward
from r1trl.rewards.scorer import Scorer
from r1trl.training.rollouts import RolloutMixin
from r1trl.training.trainers import with_rollouts

pytestmark = pytest.mark.slow

PROMPTS = ["a", "What is 1 + 1?", "Say something about the sea.", "x" * 20]
RLOO = pytest.param("rloo", marks=pytest.mark.long)
TRAINERS = {
    "grpo": (trl.GRPOConfig, trl.GRPOTrainer),
    "rloo": (trl.RLOOConfig, trl.RLOOTrainer),
}


def placed(completions: Any, completion_ids: Any, **_: Any) -> list[float]:
    """Return a reward that differs among equal completions."""
    return [(sum(ids) + i) % 5 / 4 for i, ids in enumerate(completion_ids)]


class Keeping:
    """Keeps the ids that its trainer draws."""

    kept: list[Any]

    def _generate_single_turn(self, *given: Any, **named: Any) -> Any:
        drawn = super()._generate_single_turn(*given, **named)  # type: ignore[misc]
        self.kept.append(copy.deepcopy(drawn))
        torch.manual_seed(5)  # rows are shuffled next, by the generator that drew or did not
        return drawn


class Replaying:
    """Returns what another trainer has kept."""

    kept: list[Any]

    def _generate_single_turn(self, *given: Any, **named: Any) -> Any:
        torch.manual_seed(5)
        return copy.deepcopy(self.kept.pop(0))


def trainer_of(
    class_: Any, model: Path, folder: Path, kind: str, learnt: Any = None, **more: Any
) -> Any:
    """Return a trainer for two steps of plain gradient descent."""
    config = TRAINERS[kind][0]
    options = {
        "output_dir": str(folder),
        **PLAIN_SGD,
        "num_generations": 2,
        "max_completion_length": 10,
        "per_device_train_batch_size": 8,
        "max_steps": 2,
        "seed": 3,
        **more,
    }
    ours = issubclass(class_, RolloutMixin)
    scoring = ScoringConfig(deadline=5.0, processes=1)
    scorer = Scorer([BoundReward("placed", placed, {})], scoring) if ours else None
    return class_(
        model=str(model),
        args=config(**options),
        train_dataset=Dataset.from_dict({"prompt": PROMPTS}),
        peft_config=learnt,
        **({"scorer": scorer} if ours else {"reward_funcs": [placed]}),
    )


def run(trainer: Any) -> tuple[dict[str, torch.Tensor], list[dict[str, float]]]:
    """Train; return the weights and the log."""
    trainer.train()
    weights = {name: value.detach().clone() for name, value in trainer.model.named_parameters()}
    return weights, [row for row in trainer.state.log_history if "loss" in row]


def assert_equal(ours: Any, theirs: Any) -> None:
    """Check weights and every metric that TRL logs, but for times."""
    for name, value in theirs[0].items():
        torch.testing.assert_close(ours[0][name], value, rtol=0, atol=1e-6)
    for row, our_row in zip(theirs[1], ours[1], strict=True):
        for metric in row.keys() - {"step_time"}:
            assert our_row[metric] == pytest.approx(row[metric], rel=1e-3, abs=2e-6), metric


@pytest.mark.parametrize("kind", ["grpo", RLOO])
@pytest.mark.parametrize(
    "more",
    [
        {"generation_kwargs": {"temperature": 2.0}},
        {"temperature": 0.5, "generation_kwargs": {"temperature": 2.0, "top_k": 5}},
        {"generation_kwargs": {"do_sample": False}},
        {"temperature": 0.7, "repetition_penalty": 1.3, "top_p": 0.9, "min_p": 0.001},
        {"temperature": 0.7, "generation_kwargs": {"top_k": None, "typical_p": 0.9}},
    ],
    ids=str,
)
def test_known_log_probabilities_are_those_that_trl_computes(
    more: dict[str, Any], kind: str, tiny_model: Path, tmp_path: Path
) -> None:
    base, kept = TRAINERS[kind][1], list[Any]()
    # of two updates per rollout, the second is compared with the policy of the rollout
    more = {"beta": 0.1, "generation_batch_size": 8, "per_device_train_batch_size": 4, **more}
    keeping = type("Ours", (Keeping, with_rollouts(base)), {"kept": kept})
    trainer = trainer_of(keeping, tiny_model, tmp_path, kind, **more)
    ours = run(trainer)
    replaying = type("Theirs", (Replaying, base), {"kept": kept})
    theirs = run(trainer_of(replaying, tiny_model, tmp_path, kind, **more))
    assert_equal(ours, theirs)
    assert ours[1][0]["kl"] == pytest.approx(0, abs=1e-6), "policy and reference are one"


# Greedy, the tiny model repeats the last token of its prompt: 16, 90, 33 or 67.
OWN: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"suppress_tokens": [16, 90]}, {}),
    ({"begin_suppress_tokens": [16, 33, 67]}, {}),
    ({"no_repeat_ngram_size": 2, "max_length": 12}, {}),
    ({"bad_words_ids": [[33], [67, 67]]}, {}),
    ({"forced_eos_token_id": 2}, {}),
    ({"exponential_decay_length_penalty": [2, 9.0]}, {}),
    ({"sequence_bias": [[[70], 99.0]], "use_cache": False}, {}),
    ({"eos_token_id": [2, 67]}, {}),
    ({"eos_token_id": [2, 67], "min_new_tokens": 3}, {}),
    ({"repetition_penalty": 5.0}, {"repetition_penalty": None}),
    ({}, {"max_new_tokens": 4}),
    ({}, {"max_new_tokens": None, "max_length": 33}),
    ({}, {"eos_token_id": 67}),
    ({}, {"eos_token_id": [2, 67]}),
    ({}, {"num_beams": 2, "length_penalty": -9.0, "repetition_penalty": 2.0}),
    ({}, {"suppress_tokens": [16], "repetition_penalty": 1.5}),
    ({}, {"encoder_repetition_penalty": 0.01}),
]
WITHOUT_EFFECT: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"temperature": 0.1, "top_k": 3, "do_sample": True, "cache_implementation": "hybrid"}, {}),
    ({"suppress_tokens": [], "min_new_tokens": 0, "use_cache": False, "max_length": 3}, {}),
    ({"repetition_penalty": 5.0, "_from_model_config": True, "of_remote_code": [4]}, {}),
    ({}, {"pad_token_id": 2, "cache_implementation": "static"}),
]


IDS = [[16], [5, 90], [7, 8, 9, 33], [67] * 5, [5, 90]]


def drawn(class_: Any, model: Path, folder: Path, given: dict[str, Any]) -> Any:
    """Return what a trainer draws, greedily."""
    given = {"do_sample": False} | given
    trainer = trainer_of(class_, model, folder, "grpo", generation_kwargs=given)
    return trainer._generate_single_turn(IDS, None, {}, 1)


@pytest.fixture(scope="module")
def drawn_plainly(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return what TRL draws without settings."""
    return drawn(trl.GRPOTrainer, tiny_model, tmp_path_factory.mktemp("plain"), {})


@pytest.mark.parametrize(
    ("own", "given"),
    [
        *OWN[::2],
        *(pytest.param(*case, marks=pytest.mark.long) for case in OWN[1::2]),
        *WITHOUT_EFFECT,
    ],
    ids=str,
)
def test_drawing_follows_the_settings_of_the_model_and_of_generation_kwargs(
    own: dict[str, Any],
    given: dict[str, Any],
    tiny_model: Path,
    tmp_path: Path,
    drawn_plainly: Any,
) -> None:
    model = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    file = model / "generation_config.json"
    before = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps(before | own))
    ours = drawn(with_rollouts(trl.GRPOTrainer), model, tmp_path, given)
    assert ours == drawn(trl.GRPOTrainer, model, tmp_path, given)
    assert (ours != drawn_plainly) == ((own, given) in OWN), "the setting changes what is drawn"


@pytest.mark.filterwarnings("ignore:Position ids are not supported")  # PEFT's, with prompts
@pytest.mark.parametrize("kind", ["grpo", RLOO])
@pytest.mark.parametrize("name", ["LoraConfig", "PromptTuningConfig", "PrefixTuningConfig"])
def test_what_peft_learns_is_what_it_learns_with_trl(
    name: str, kind: str, tiny_model: Path, tmp_path: Path
) -> None:
    options = {} if name == "LoraConfig" else {"num_virtual_tokens": 3}
    learnt = getattr(peft, name)(task_type="CAUSAL_LM", **options)
    greedy = {"do_sample": False, "suppress_tokens": [16]}
    base = TRAINERS[kind][1]
    more = {"generation_kwargs": greedy, "beta": 0.1, "learnt": learnt, "learning_rate": 1.0}
    results = [
        run(trainer_of(class_, tiny_model, tmp_path, kind, **more))
        for class_ in (with_rollouts(base), base)
    ]
    assert_equal(*results)
