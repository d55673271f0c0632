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
    turn = list(inspect.signature(class_._generate_single_turn).parameters)
    more = ["num_generations", "has_tool_images"] if trainer == "GRPOTrainer" else []
    assert turn == ["self", "prompt_ids", "images", "multimodal_fields", *more]
    passes = list(inspect.signature(class_._get_per_token_logps_and_entropies).parameters)
    assert passes[:5] == ["self", "model", "input_ids", "attention_mask", "logits_to_keep"]
    assert passes[5:8] == ["batch_size", "compute_entropy", "compute_aux_loss"]
    assert list(inspect.signature(class_._compute_loss).parameters) == ["self", "model", "inputs"]
    assert len(inspect.signature(class_._prepare_inputs).parameters) == 2


@pytest.mark.parametrize("trainer", ["GRPOTrainer", "RLOOTrainer"])
def test_passes_are_asked_for_entropies_exactly_where_they_are_learned_from(trainer: str) -> None:
    class_ = getattr(trl, trainer)
    assert inspect.getsource(class_._compute_loss).count("compute_entropy=True") == 1
    source = inspect.getsource(class_._generate_and_score_completions)
    assert "compute_entropy" not in source
    assert source.index("old_per_token_logps, _, _ =") < source.index("ref_per_token_logps, _, _ =")


@pytest.mark.parametrize("trainer", ["GRPOTrainer", "RLOOTrainer"])
def test_a_rollout_is_kept_in_micro_batches(trainer: str) -> None:
    source = inspect.getsource(getattr(trl, trainer)._prepare_inputs)
    assert "self._buffered_inputs[self._step % self.args.steps_per_generation]" in source


@pytest.mark.parametrize("trainer", ["GRPOTrainer", "RLOOTrainer"])
def test_texts_are_gathered_by_a_name_of_the_module(trainer: str) -> None:
    class_ = getattr(trl, trainer)
    source = inspect.getsource(class_._generate_and_score_completions)
    assert "gather_object(prompts)" in source and "gather_object(completions)" in source
    assert hasattr(inspect.getmodule(class_), "gather_object")


def test_the_fused_head_takes_labels_that_are_shifted_already() -> None:
    from trl.trainer.utils import FusedCausalLMOutput, add_fused_lm_head

    assert "shift_labels" in inspect.getsource(add_fused_lm_head)
    names = FusedCausalLMOutput.__dataclass_fields__
    assert {"log_probs", "entropy", "is_top1", "label_mask"} <= set(names)


def test_a_cache_is_made_of_layers_that_can_be_replaced() -> None:
    from transformers.cache_utils import Cache, DynamicLayer

    assert "self.layers" in inspect.getsource(Cache.__init__)
    assert "layer.reorder_cache" in inspect.getsource(Cache.reorder_cache).replace(
        "self.layers[layer_idx]", "layer"
    )
    assert "is_initialized" in inspect.getsource(DynamicLayer)


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
