"""Transitions that end a stage at a bound, or change what it hands over."""

import json
import shutil
from pathlib import Path

import pytest
import r1trl_handover
import r1trl_tiny
import torch
from datasets import Dataset
from safetensors.torch import load_file, save_file

from r1trl import Progress, StageResult

OFFERS = r1trl_handover.r1trl_transitions()
Threshold, Truncation, Budget = (OFFERS[n] for n in ("threshold", "truncation", "budget"))
AverageCheckpoints, hardest_problems = OFFERS["average_checkpoints"], OFFERS["hardest_problems"]
merge_adapter, check_model = OFFERS["merge_adapter"], OFFERS["check_model"]
MODELS = Path(r1trl_tiny.__file__).parent / "models"
CLIPPED = "completions/clipped_ratio"


def progress(metric: str, *values: float, seconds: float = 1.0) -> Progress:
    rows = [{"step": step, metric: value} for step, value in enumerate(values)]
    return Progress(len(rows), 100, seconds, rows)


@pytest.fixture
def model(tmp_path: Path) -> StageResult:
    """A stage that hands over the embedded base model."""
    shutil.copytree(MODELS / "base", tmp_path / "model")
    return StageResult("cold", "sft", tmp_path, tmp_path / "model")


def change(file: Path, **values: object) -> None:
    """Change a JSON file."""
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


# Ends of a stage


def test_a_threshold_asks_for_a_mean_over_its_window():
    above = Threshold(metric="reward", above=0.9, window=2)
    assert above.should_stop(progress("reward", 1.0)) is None
    assert above.should_stop(progress("reward", 0.0, 1.0)) is None
    reason = above.should_stop(progress("reward", 0.0, 1.0, 0.8))
    assert reason == "reward is 0.9 at step 3 (mean of 2 loggings), not less than 0.9"
    below = Threshold(metric="entropy", below=0.1, window=1)
    assert below.should_stop(progress("entropy", 0.2)) is None
    assert "not more than 0.1" in below.should_stop(progress("entropy", 0.05))


def test_a_threshold_needs_a_bound_and_a_metric_that_is_logged():
    with pytest.raises(ValueError, match="needs a bound: above or below"):
        Threshold(metric="reward")
    with pytest.raises(ValueError, match="did you mean 'reward'"):
        Threshold(metric="rewrad", above=1, window=1).should_stop(progress("reward", *[0.0] * 4))


@pytest.mark.parametrize(
    ("shares", "ends"),
    [
        ((0.9, 0.9, 0.5, 0.5), False),  # fewer than before: the model learns to be brief
        ((0.05, 0.05, 0.09, 0.09), False),  # more, but few
        ((0.2, 0.2, 0.3, 0.3), True),
        ((0.3, 0.3, 0.3, 0.3), True),
        ((0.3, 0.3, 0.3), False),  # not yet two windows
    ],
)
def test_truncation_ends_a_stage_whose_answers_are_cut_off(shares, ends):
    reason = Truncation(max_share=0.1, window=2).should_stop(progress(CLIPPED, *shares))
    assert bool(reason) is ends


def test_the_reason_of_truncation_has_its_numbers():
    reason = Truncation(window=1).should_stop(progress(CLIPPED, 0.2, 0.25))
    assert reason == (
        "25.0% of the completions are cut off at step 2, in the 1 loggings before it was 20.0%: "
        "they need more tokens than are allowed"
    )


def test_a_budget_of_time_and_of_tokens():
    hours = Budget(hours=2)
    assert hours.should_stop(progress("num_tokens", 1, seconds=7199)) is None
    reason = hours.should_stop(progress("num_tokens", 1, seconds=7200))
    assert reason == "2 of 2 hours are spent at step 1 of 100"
    tokens = Budget(tokens=1000)
    assert tokens.should_stop(progress("num_tokens", 500, 999)) is None
    assert tokens.should_stop(progress("num_tokens", 500, 1001)).startswith("1001 of 1000 tokens")
    with pytest.raises(ValueError, match="needs a bound: hours or tokens"):
        Budget()
    with pytest.raises(ValueError, match="no metric is called 'num_tokens'"):
        tokens.should_stop(progress("loss", *[1.0] * 4))


# Averages


@pytest.fixture
def saved(tmp_path: Path) -> StageResult:
    """A stage with checkpoints at steps 1 to 3 whose weights are their step."""
    folders = [tmp_path / "checkpoints" / f"checkpoint-{step}" for step in (1, 2, 3)]
    for value, folder in enumerate([tmp_path / "model", *folders]):
        folder.mkdir(parents=True)
        tensors = {"w": torch.full((2,), float(value), dtype=torch.bfloat16)}
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return StageResult("zero", "grpo", tmp_path, tmp_path / "model")


def test_the_last_checkpoints_are_averaged_in_their_type(saved: StageResult):
    result = AverageCheckpoints(last=2)(saved)
    weight = load_file(saved.model / "model.safetensors")["w"]
    assert weight.tolist() == [2.5, 2.5]
    assert weight.dtype == torch.bfloat16
    assert result.metrics == {"average_from": 2, "average_to": 3}


def test_an_impossible_average_is_refused(saved: StageResult):
    with pytest.raises(ValueError, match=r"checkpoints 1, 2, 3, fewer than 4; .*save_steps"):
        AverageCheckpoints(last=4)(saved)
    with pytest.raises(ValueError, match="2 checkpoints or more"):
        AverageCheckpoints(last=1)(saved)
    odd = saved.folder / "checkpoints" / "checkpoint-2" / "model.safetensors"
    save_file({"v": torch.zeros(1)}, odd)
    with pytest.raises(ValueError, match="does not have the tensors of the other checkpoints"):
        AverageCheckpoints(last=3)(saved)


# The hardest problems


def rollouts(folder: Path, **columns: list) -> StageResult:
    Dataset.from_dict(columns).to_parquet(str(folder / "rollouts.parquet"))
    return StageResult("mine", "sample", folder, dataset=folder / "rollouts.parquet")


def test_the_hardest_problems_are_written_once_each_hardest_first(tmp_path: Path):
    result = rollouts(
        tmp_path,
        problem=[0, 0, 1, 1, 2, 2, 3, 3],
        prompt=list("aabbccdd"),
        solution=list("11223344"),
        completion=list("stuvwxyz"),
        **{"rewards/accuracy": [1.0, 0.0, 0.0, 0.0, 1.0, 1.0, None, None]},
        **{"answer/accuracy": list("stuvwxyz")},
    )
    written = hardest_problems(result, max_rate=0.5)
    rows = Dataset.from_parquet(str(tmp_path / "hardest.parquet"))
    assert rows.to_dict() == {
        "problem": [1, 0],
        "prompt": ["b", "a"],
        "solution": ["2", "1"],
        "pass_rate": [0.0, 0.5],
    }
    assert written.metrics == {"hardest": 2, "hardest_unknown": 1}
    hardest_problems(result, min_rate=0.01, max_rate=1.0, count=1)
    assert Dataset.from_parquet(str(tmp_path / "hardest.parquet"))["prompt"][:] == ["a"]


def test_the_hardest_problems_have_their_own_columns_by_their_own_names(tmp_path: Path):
    own = {"row/problem": ["p", "q"], "row/finished": ["yes", "no"], "row/source": ["mine", "my"]}
    rewards = {"rewards/accuracy": [0.0, 1.0]}
    hardest_problems(rollouts(tmp_path, problem=[0, 1], finished=[True, True], **own, **rewards))
    row = {"problem": "p", "finished": "yes", "row/source": "mine", "pass_rate": 0.0}
    assert Dataset.from_parquet(str(tmp_path / "hardest.parquet")).to_list() == [row]


def test_hardest_problems_refuses_rows_without_what_it_needs(tmp_path: Path):
    result = rollouts(tmp_path, problem=[0], prompt=["a"], **{"rewards/accuracy": [1.0]})
    with pytest.raises(ValueError, match=r"pass rate from 0 to 0.5; the lowest are: 1.00"):
        hardest_problems(result)
    with pytest.raises(ValueError, match="no column 'rewards/right'; there are: rewards/accuracy"):
        hardest_problems(result, reward="right")
    with pytest.raises(ValueError, match="stage 'zero' has no rollouts"):
        hardest_problems(StageResult("zero", "grpo", tmp_path))


# Model checks


@pytest.mark.parametrize("name", sorted(path.name for path in MODELS.iterdir() if path.is_dir()))
def test_the_embedded_models_pass_the_check(name: str):
    result = StageResult("cold", "sft", MODELS, MODELS / name)
    assert check_model(result) is result


@pytest.mark.parametrize(
    ("file", "values", "message"),
    [
        ("tokenizer_config.json", {"eos_token": None}, "the tokenizer has no eos token"),
        ("tokenizer_config.json", {"pad_token": None}, "the tokenizer has no pad token"),
        ("config.json", {"vocab_size": 3}, "tokens, the model 3 embeddings"),
        ("generation_config.json", {"eos_token_id": 5}, r"stops at the tokens \[5\], not at"),
    ],
)
def test_a_model_whose_parts_do_not_fit_is_refused(model: StageResult, file, values, message):
    if not (model.model / file).exists():
        (model.model / file).write_text("{}")
    change(model.model / file, **values)
    with pytest.raises(ValueError, match=message):
        check_model(model)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ messages[0].nothing.at_all }}", "the chat template fails: UndefinedError"),
        ("{{ messages[-1].content }}<eos>", None),
        ("User: {{ messages[-1].role }}", "leaves out what the user says"),
        ("{{ messages[0].content }}", "leaves out what the assistant says"),
        (
            "{% for m in messages %}{{ m.content }}.{% endfor %}",
            "ends the assistant's turn with '.', which holds none of the tokens",
        ),
    ],
)
def test_a_chat_template_that_breaks_a_model_is_found(model: StageResult, template, message):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model.model)
    tokenizer.chat_template = template.replace("<eos>", tokenizer.eos_token)
    tokenizer.save_pretrained(model.model)
    if message is None:
        check_model(model)
    else:
        with pytest.raises(ValueError, match=message):
            check_model(model)


def test_a_stage_with_a_template_of_its_own_need_not_end_as_the_models(model: StageResult):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model.model)
    tokenizer.chat_template = "{% for m in messages %}{{ m.content }}.{% endfor %}"
    tokenizer.save_pretrained(model.model)
    for template, passes in (("Q: {{ prompt }}", True), (None, False)):
        settings = json.dumps({"settings": {"template": template}})
        (model.folder / "stage.yaml").write_text(settings)
        if passes:
            check_model(model)
        else:
            with pytest.raises(ValueError, match="ends the assistant's turn with"):
                check_model(model)


def test_a_special_token_that_no_text_has_needs_no_embedding(model: StageResult):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model.model)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
    tokenizer.save_pretrained(model.model)
    check_model(model)
    tokenizer.add_tokens(["<new>"])
    tokenizer.save_pretrained(model.model)
    with pytest.raises(ValueError, match="tokens, the model 644 embeddings"):
        check_model(model)


def test_a_weight_that_is_no_number_is_found(model: StageResult):
    file = model.model / "model.safetensors"
    tensors = load_file(file)
    name = next(iter(tensors))
    tensors[name].view(-1)[0] = float("nan")
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(ValueError, match=f"weights that are no finite numbers: {name}"):
        check_model(model)


# Adapters


def test_a_merged_adapter_is_the_model_that_answered(model: StageResult):
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    base = AutoModelForCausalLM.from_pretrained(MODELS / "base", dtype=torch.float32)
    config = LoraConfig(task_type="CAUSAL_LM", r=4, target_modules="all-linear")
    adapted = get_peft_model(base, config)
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)
    ids = torch.arange(5, 25)[None]
    with torch.no_grad():
        expected = adapted(ids).logits
    (model.model / "model.safetensors").unlink()
    adapted.save_pretrained(model.model)
    result = merge_adapter(model)
    assert not list(model.model.glob("adapter*"))
    whole = AutoModelForCausalLM.from_pretrained(model.model, dtype=torch.float32)
    with torch.no_grad():
        torch.testing.assert_close(whole(ids).logits, expected, rtol=1e-4, atol=1e-4)
    assert result.metrics["merged_tensors"] > 0
    check_model(result)


def test_a_stage_without_an_adapter_has_nothing_to_merge(model: StageResult):
    with pytest.raises(ValueError, match="stage 'cold' hands over no adapter"):
        merge_adapter(model)
