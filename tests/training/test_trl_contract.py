"""The private names of TRL and transformers that r1trl relies on; fails first when they move."""

import inspect
import re
from typing import Any

import pytest
import trl

pytestmark = pytest.mark.slow
TRAINERS = ["GRPOTrainer", "RLOOTrainer"]


def parameters(method: Any) -> list[str]:
    """Return the names of a method's parameters."""
    return list(inspect.signature(method).parameters)


@pytest.mark.parametrize("trainer", TRAINERS)
def test_the_wrapped_methods_have_their_signatures(trainer: str) -> None:
    class_ = getattr(trl, trainer)
    assert parameters(class_._generate_and_score_completions) == ["self", "inputs"]
    rewards = ["self", "inputs", "prompts", "completions", "completion_ids_list"]
    assert parameters(class_._calculate_rewards) == rewards
    more = ["num_generations", "has_tool_images"] if trainer == "GRPOTrainer" else []
    turn = ["self", "prompt_ids", "images", "multimodal_fields", *more]
    assert parameters(class_._generate_single_turn) == turn
    passes = parameters(class_._get_per_token_logps_and_entropies)
    assert passes[:5] == ["self", "model", "input_ids", "attention_mask", "logits_to_keep"]
    assert passes[5:8] == ["batch_size", "compute_entropy", "compute_aux_loss"]
    assert parameters(class_._compute_loss) == ["self", "model", "inputs"]
    assert parameters(class_._prepare_inputs) == ["self", "generation_batch"]
    assert {"args", "reward_funcs"} <= set(parameters(class_.__init__))


@pytest.mark.parametrize("trainer", TRAINERS)
def test_entropies_are_computed_only_in_the_pass_with_gradient(trainer: str) -> None:
    class_ = getattr(trl, trainer)
    assert inspect.getsource(class_._compute_loss).count("compute_entropy=True") == 1
    source = inspect.getsource(class_._generate_and_score_completions)
    assert "compute_entropy" not in source
    assert source.index("old_per_token_logps, _, _ =") < source.index("ref_per_token_logps, _, _ =")


def test_a_turn_is_asked_for_by_position_and_the_turns_after_tools_by_keyword() -> None:
    first = inspect.getsource(trl.GRPOTrainer._generate)
    later = inspect.getsource(trl.GRPOTrainer._tool_call_loop)
    assert "completion_ids, logprobs = self._generate_single_turn(" in first
    assert "post_tool_ids, post_tool_logprobs = self._generate_single_turn(" in later
    assert "num_generations=1," in later and "has_tool_images=any(" in later
    assert "tools" in parameters(trl.GRPOTrainer.__init__)
    single = inspect.getsource(trl.RLOOTrainer._generate)
    assert "completion_ids = self._generate_single_turn(" in single, "no log-probabilities"
    assert not hasattr(trl.RLOOTrainer, "_tool_call_loop")


@pytest.mark.parametrize("trainer", TRAINERS)
def test_a_model_scores_at_the_trainers_temperature_whatever_it_draws_at(trainer: str) -> None:
    source = inspect.getsource(getattr(trl, trainer).__init__)
    assert "temperature=self.temperature" in source
    assert "generation_kwargs.update(args.generation_kwargs)" in source
    assert "GenerationConfig(**generation_kwargs, disable_compile=True)" in source


def test_generate_takes_empty_settings_from_the_model() -> None:
    from transformers.generation import GenerationConfig, GenerationMixin

    source = inspect.getsource(GenerationMixin._prepare_generation_config)
    merged = "generation_config.update(**self.generation_config.to_dict(), defaults_only=True"
    assert merged in source
    assert 'if generation_config.cache_implementation == "hybrid":' in source
    assert '"top_k": 50' in inspect.getsource(GenerationConfig._get_default_generation_params)


@pytest.mark.parametrize("trainer", TRAINERS)
def test_a_loss_keeps_nothing_but_metrics_where_rows_are_regrouped(trainer: str) -> None:
    source = inspect.getsource(getattr(trl, trainer)._compute_loss)
    kept = re.findall(
        r"self\.(\w+)(?:\[[^]]*\])* \+?= |self\.(\w+)\[mode\]\[[^]]*\]\.append", source
    )
    adaptive = {"entropy_coef", "_entropy_window_stats", "_last_world_entropy"}
    assert {one or other for one, other in kept} - adaptive == {"_metrics"}


def test_only_the_losses_that_are_known_are_dealt_anew() -> None:
    source = inspect.getsource(trl.GRPOTrainer._compute_loss)
    tests = re.findall(r'self\.loss_type (?:== "(\w+)"|in (\[[^]]*\]))', source)
    names = {name for one, many in tests for name in re.findall(r"\w+", one or many)}
    known = {"grpo", "dapo", "dr_grpo", "bnpo", "cispo", "sapo", "luspo", "vespo"}
    assert names == known, "does the gradient depend on which rows share a micro-batch?"
    made = inspect.getsource(trl.GRPOTrainer._generate_and_score_completions)
    assert "num_items_in_batch = self.accelerator.gather(loss_mask.sum()).sum()" in made


@pytest.mark.parametrize("trainer", TRAINERS)
def test_the_loss_reads_the_advantages_of_a_micro_batch(trainer: str) -> None:
    source = inspect.getsource(getattr(trl, trainer)._compute_loss)
    assert 'inputs["advantages"]' in source


@pytest.mark.parametrize("trainer", TRAINERS)
def test_a_rollout_is_kept_in_micro_batches(trainer: str) -> None:
    class_ = getattr(trl, trainer)
    source = inspect.getsource(class_._prepare_inputs)
    assert "self._buffered_inputs[self._step % self.args.steps_per_generation]" in source
    initial = inspect.getsource(class_.__init__)
    assert "self._step = 0" in initial and "self._buffered_inputs = None" in initial


@pytest.mark.parametrize("trainer", TRAINERS)
def test_texts_are_gathered_by_a_name_of_the_module(trainer: str) -> None:
    class_ = getattr(trl, trainer)
    source = inspect.getsource(class_._generate_and_score_completions)
    assert "gather_object(prompts)" in source and "gather_object(completions)" in source
    assert hasattr(inspect.getmodule(class_), "gather_object")
    assert class_.__module__.startswith("trl.trainer.")


@pytest.mark.parametrize("trainer", TRAINERS)
def test_trainers_set_the_attributes_that_capabilities_reads(trainer: str) -> None:
    class_ = getattr(trl, trainer)
    source = inspect.getsource(class_.__init__)
    attributes = [
        *("use_vllm", "use_transformers_continuous_batching", "generation_config"),
        *("aux_loss_enabled", "beta", "ref_model", "eos_token_ids", "temperature"),
    ]
    if trainer == "GRPOTrainer":
        attributes += ["loss_type", "top_entropy_quantile", "_entropy_bonus_enabled", "tools"]
    for attribute in attributes:
        assert f"self.{attribute} =" in source, attribute
    assert "self.is_fsdp_enabled" in source
    loss = inspect.getsource(class_._compute_loss)
    assert ("entropies, mask, 1 - self.top_entropy_quantile" in loss) == (trainer == "GRPOTrainer")
    assert ("if self._entropy_bonus_enabled:" in loss) == (trainer == "GRPOTrainer")
    assert "compute_aux_loss=self.aux_loss_enabled" in loss


@pytest.mark.parametrize("config", ["GRPOConfig", "RLOOConfig"])
def test_configs_have_the_fields_that_capabilities_reads(config: str) -> None:
    fields = getattr(trl, config).__dataclass_fields__
    reference = {"sync_ref_model", "ref_model_mixup_alpha", "ref_model_sync_steps"}
    rollout = {"ds3_gather_for_generation", "log_completions", "generation_batch_size"}
    updates = {"gradient_accumulation_steps", "steps_per_generation", "neftune_noise_alpha"}
    assert reference | rollout | updates | {"bf16", "fp16", "tf32"} <= set(fields)
    assert ("cast_lm_head_to_fp32" in fields) == (config == "GRPOConfig")


def test_importance_ratios_are_of_these_log_probabilities_and_logged_under_this_name() -> None:
    source = inspect.getsource(trl.GRPOTrainer._generate_and_score_completions)
    assert "(old_per_token_logps - sampling_per_token_logps) * mask" in source
    assert "torch.nan_to_num(per_token_logps_diff, nan=0.0)" in source
    for name in ("old_per_token_logps", "sampling_per_token_logps", "importance_sampling_ratio"):
        assert f'output["{name}"] =' in source
    assert "sampling/importance_sampling_ratio/mean" in source
    assert not inspect.getsource(trl.RLOOTrainer).count("importance_sampling_ratio")


def test_weights_are_gathered_for_generation_by_a_function_of_trl() -> None:
    from trl.models import unwrap_model_for_generation

    options = {"gather_deepspeed3_params", "gradient_checkpointing_kwargs"}
    assert options <= set(parameters(unwrap_model_for_generation))
    assert parameters(unwrap_model_for_generation)[:2] == ["model", "accelerator"]


def test_the_fused_head_accepts_labels_that_are_shifted_already() -> None:
    from trl.trainer.utils import FusedCausalLMOutput, add_fused_lm_head

    assert "shift_labels" in inspect.getsource(add_fused_lm_head)
    names = FusedCausalLMOutput.__dataclass_fields__
    assert {"log_probs", "entropy", "is_top1", "label_mask"} <= set(names)


@pytest.mark.parametrize("trainer", [*TRAINERS, "SFTTrainer"])
def test_trainers_give_their_models_the_fused_head(trainer: str) -> None:
    assert "add_fused_lm_head(" in inspect.getsource(getattr(trl, trainer).__init__)


def test_fine_tuning_computes_its_loss_from_the_fused_output() -> None:
    names = ["self", "model", "inputs", "return_outputs", "num_items_in_batch"]
    assert parameters(trl.SFTTrainer.compute_loss) == names
    source = inspect.getsource(trl.SFTTrainer.compute_loss)
    assert "outputs = model(**inputs, fused_lm_head=True)" in source
    assert "self.aux_loss_enabled" in source and "outputs.label_mask" in source


def test_a_cache_consists_of_layers_that_can_be_replaced() -> None:
    from transformers.cache_utils import Cache, DynamicLayer

    assert "self.layers" in inspect.getsource(Cache.__init__)
    assert "layer.reorder_cache" in inspect.getsource(Cache.reorder_cache).replace(
        "self.layers[layer_idx]", "layer"
    )
    assert "is_initialized" in inspect.getsource(DynamicLayer)


def test_packing_replaces_an_attention_function_that_models_look_up() -> None:
    from transformers import AttentionInterface, Qwen2ForCausalLM

    assert "sdpa" in AttentionInterface()
    assert Qwen2ForCausalLM._supports_attention_backend
    assert hasattr(Qwen2ForCausalLM.config_class(), "_attn_implementation")


@pytest.mark.parametrize("trainer", TRAINERS)
def test_trainers_set_the_attributes_that_rollouts_need(trainer: str) -> None:
    source = inspect.getsource(getattr(trl, trainer).__init__)
    for attribute in ("num_generations", "num_iterations", "reward_funcs", "reward_func_names"):
        assert f"self.{attribute} =" in source
    assert "ref_model" in source
    assert 'self._metrics = {"train": defaultdict(list)' in source


@pytest.mark.parametrize("trainer", TRAINERS)
def test_a_rollout_is_a_mapping_of_tensors_with_a_row_per_completion(trainer: str) -> None:
    source = inspect.getsource(getattr(trl, trainer)._generate_and_score_completions)
    for key in ("prompt_ids", "prompt_mask", "completion_ids", "completion_mask", "advantages"):
        assert f'"{key}":' in source
    assert "len(prompts)" in source, "there is an input per completion"
    assert 'self._metrics[mode]["reward"].append(' in source


def test_a_plain_prompt_is_tokenised_with_the_tokenizers_own_special_tokens() -> None:
    source = inspect.getsource(trl.GRPOTrainer._tokenize_prompts)
    assert 'self.processing_class(text=prompts)["input_ids"]' in source


def test_rewards_get_a_function_that_logs_a_metric() -> None:
    source = inspect.getsource(trl.GRPOTrainer._calculate_rewards)
    assert 'reward_kwargs["log_metric"]' in source


def test_a_checkpoint_is_written_before_on_save_is_called() -> None:
    from transformers import Trainer

    source = inspect.getsource(Trainer._maybe_log_save_evaluate)
    assert source.index("_save_checkpoint") < source.index("on_save")


def test_the_model_of_a_checkpoint_is_saved_by_an_internal_call() -> None:
    from transformers import Trainer

    source = inspect.getsource(Trainer._save_checkpoint)
    assert source.count("self.save_model(output_dir, _internal_call=True)") == 1
    assert source.index("save_model(") < source.index("_save_optimizer_and_scheduler(")


def test_loss_and_weights_can_be_checked_before_a_step_is_saved() -> None:
    from transformers import Trainer

    source = inspect.getsource(getattr(Trainer, "_run_epoch", Trainer._inner_training_loop))
    order = ["self.training_step(", "on_pre_optimizer_step", "self.optimizer.step()"]
    order += ["on_step_end", "self._maybe_log_save_evaluate("]
    places = [source.index(name) for name in order]
    assert places == sorted(places)
    assert inspect.getsource(Trainer.training_step).rstrip().endswith("return loss.detach()")


def test_a_schedule_multiplies_its_learning_rates_by_functions_of_the_step() -> None:
    from torch import nn, optim

    optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=0.5)
    schedule = optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))
    assert schedule.base_lrs == schedule._last_lr == [0.5] and len(schedule.lr_lambdas) == 1
    assert {"base_lrs", "_last_lr"} <= schedule.state_dict().keys()


def test_a_reward_trainer_prepares_pairs_and_logs_as_the_one_of_single_texts_relies_on() -> None:
    import dataclasses

    from trl.trainer.reward_trainer import DataCollatorForPreference
    from trl.trainer.utils import pad

    prepare = ["self", "dataset", "processing_class", "args", "dataset_name"]
    assert parameters(trl.RewardTrainer._prepare_dataset) == prepare
    source = inspect.getsource(trl.RewardTrainer._prepare_dataset)
    assert '"chosen_ids": _tokenize(' in source and "remove_columns" not in source
    initial = inspect.getsource(trl.RewardTrainer.__init__)
    assert "self._total_train_tokens = 0" in initial and 'self._metrics = {"train"' in initial
    names = [field.name for field in dataclasses.fields(DataCollatorForPreference)]
    assert names[:2] == ["pad_token_id", "pad_to_multiple_of"]
    assert parameters(pad)[2:4] == ["padding_side", "pad_to_multiple_of"]


def test_what_a_stopped_stage_carries_over_is_set_before_training_begins() -> None:
    from transformers import Trainer

    source = inspect.getsource(Trainer._inner_training_loop)
    begins = source.index("callback_handler.on_train_begin(")
    for name in ("_tr_loss", "_total_loss_scalar", "_globalstep_last_logged"):
        assert source.index(f"self.{name} = ") < begins
    end = inspect.getsource(Trainer._finalize_training)
    if "_initial_global_step" in end:  # before, the mean loss at the end was of all steps
        assert source.index("self._initial_global_step = self.state.global_step") < begins
        assert "self.state.global_step - self._initial_global_step" in end
    else:
        assert "effective_global_step = max(self.state.global_step, 0.001)" in end
    counted = (trl.SFTTrainer, trl.RewardTrainer, trl.DPOTrainer)
    assert all("self._total_train_tokens = 0" in inspect.getsource(t.__init__) for t in counted)
    drawn = (trl.GRPOTrainer, trl.RLOOTrainer, trl.DistillationTrainer)
    for trainer in (*counted, *drawn):
        assert 'self._metrics = {"train": defaultdict(list)' in inspect.getsource(trainer.__init__)


def test_a_finished_training_is_only_loaded_without_its_epochs() -> None:
    from transformers import Trainer

    source = inspect.getsource(Trainer._inner_training_loop)
    loop = source[source.index("on_epoch_begin(") :]
    assert "self._run_epoch(\n" in loop and "if self.control.should_training_stop:" in loop
    assert parameters(Trainer._load_rng_state) == ["self", "checkpoint"]
    epoch = inspect.getsource(Trainer._run_epoch)
    assert epoch.index("self.callback_handler.on_epoch_end(") < epoch.rindex("_maybe_log_save")
    step = inspect.getsource(Trainer._maybe_log_save_evaluate)
    assert step.index("self.log(logs") < step.index("if self.control.should_save:")


def test_the_reference_is_moved_by_a_method_of_the_callback() -> None:
    from trl.trainer.callbacks import SyncRefModelCallback

    assert parameters(SyncRefModelCallback.sync_target_model) == ["model", "target_model", "alpha"]
    source = inspect.getsource(SyncRefModelCallback.on_step_end)
    assert "self.sync_target_model(model, self.ref_model, args.ref_model_mixup_alpha)" in source


def test_the_order_of_prompts_is_drawn_anew_for_each_pass_from_one_generator() -> None:
    from trl.trainer.utils import RepeatSampler

    first, second = (RepeatSampler(range(6), 2, 2, seed=3) for _ in range(2))
    passes = [list(first) for _ in range(3)]
    next(iter(second))
    assert passes[0] != passes[1] and list(second) == passes[1]
