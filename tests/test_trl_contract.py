"""The private names of TRL and transformers that r1trl relies on; fails first when they move."""

import inspect

import pytest

pytestmark = pytest.mark.slow
trl = pytest.importorskip("trl")


@pytest.mark.parametrize("trainer", ["GRPOTrainer", "RLOOTrainer"])
def test_the_wrapped_methods_have_their_signatures(trainer: str) -> None:
    class_ = getattr(trl, trainer)
    generate = list(inspect.signature(class_._generate_and_score_completions).parameters)
    assert generate == ["self", "inputs"]
    rewards = list(inspect.signature(class_._calculate_rewards).parameters)
    assert rewards == ["self", "inputs", "prompts", "completions", "completion_ids_list"]


@pytest.mark.parametrize("trainer", ["GRPOTrainer", "RLOOTrainer"])
def test_the_attributes_that_a_prompt_order_needs_are_set(trainer: str) -> None:
    source = inspect.getsource(getattr(trl, trainer).__init__)
    for attribute in ("num_generations", "num_iterations", "reward_funcs", "reward_func_names"):
        assert f"self.{attribute} =" in source
    assert "ref_model" in source


@pytest.mark.parametrize("trainer", ["GRPOTrainer", "RLOOTrainer"])
def test_a_rollout_is_a_mapping_of_tensors_that_groups_can_be_taken_from(trainer: str) -> None:
    source = inspect.getsource(getattr(trl, trainer)._generate_and_score_completions)
    for key in ("prompt_ids", "prompt_mask", "completion_ids", "completion_mask", "advantages"):
        assert f'"{key}":' in source
    assert "len(prompts)" in source, "the number of inputs is that of the completions"
    assert 'self._metrics[mode]["reward"].append(' in source


def test_a_plain_prompt_is_tokenised_with_the_tokenizers_own_special_tokens() -> None:
    source = inspect.getsource(trl.GRPOTrainer._tokenize_prompts)
    assert 'self.processing_class(text=prompts)["input_ids"]' in source


def test_rewards_are_told_how_to_log_a_metric() -> None:
    source = inspect.getsource(trl.GRPOTrainer._calculate_rewards)
    assert 'reward_kwargs["log_metric"]' in source


def test_a_checkpoint_is_written_before_on_save_is_called() -> None:
    from transformers import Trainer

    source = inspect.getsource(Trainer._maybe_log_save_evaluate)
    assert source.index("_save_checkpoint") < source.index("on_save")
