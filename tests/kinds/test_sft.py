"""Fine-tuning: without padding to TRL's weights, the loss on answers, long rows counted."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import trl
from awkward_models import awkward_model
from datasets import Dataset
from label_cases import marked, tokenizer_of
from plain_sgd import PLAIN_SGD
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from r1trl import StageError
from r1trl.arguments.check import args_of
from r1trl.chat.samples import Sample
from r1trl.config.kinds import load_plugins, stage_class
from r1trl.config.parse import parse
from r1trl.packing import layout
from r1trl.rehearsal.training_rows import TrainerOnly
from r1trl.run.transitions import StageTransitions
from r1trl.run.work import StageWork
from r1trl.tracking.tracking import Tracking
from r1trl.training.trainers import PaddingFreeSFTTrainer

pytestmark = pytest.mark.slow
ROWS = Dataset.from_list(
    [{"prompt": "Say x: ", "completion": "x" * (1 + (i * 37) % 90)} for i in range(64)]
)


def trained(trainer_class: Any, model: Path, folder: Path, tokenizer: Any, **more: Any) -> Any:
    """Train for two epochs with plain gradient descent; return the weights and the log."""
    options = {
        "output_dir": str(folder),
        **PLAIN_SGD,
        "per_device_train_batch_size": 16,
        "gradient_accumulation_steps": 2,
        "num_train_epochs": 2,
        "max_length": 64,
        **more,
    }
    trainer = trainer_class(
        model=str(model),
        args=trl.SFTConfig(**options),
        train_dataset=ROWS,
        processing_class=tokenizer,
    )
    trainer.train()
    weights = {name: value.detach().clone() for name, value in trainer.model.named_parameters()}
    return weights, [row for row in trainer.state.log_history if "loss" in row]


@pytest.mark.parametrize(
    "more",
    [{}, {"loss_type": "dft"}, {"completion_only_loss": False}, {"label_smoothing_factor": 0.1}],
)
def test_the_trained_weights_are_those_of_trl(
    more: dict[str, Any], tiny_model: Path, tmp_path: Path, tokenizer: Any, monkeypatch: Any
) -> None:
    # Small buckets, so that there are several.
    monkeypatch.setattr(layout, "CALL_OVERHEAD_TOKENS", 16)
    weights, log = trained(trl.SFTTrainer, tiny_model, tmp_path, tokenizer, **more)
    ours, our_log = trained(PaddingFreeSFTTrainer, tiny_model, tmp_path, tokenizer, **more)
    start = load_file(tiny_model / "model.safetensors")
    moved = max(float((weights[n] - start[n]).abs().max()) for n in start)
    assert moved > 1e-3
    for name, value in weights.items():
        torch.testing.assert_close(ours[name], value, rtol=0, atol=1e-4 * moved)
    for row, our_row in zip(log, our_log, strict=True):
        for metric in ("loss", "grad_norm", "num_tokens", "entropy", "mean_token_accuracy"):
            assert our_row[metric] == pytest.approx(row[metric], rel=1e-4), metric


QUESTION = {"role": "user", "content": "What is 1 + 1?"}
CHATS = [
    {"messages": [QUESTION, {"role": "assistant", "content": f"<think>\n{i}\n</think>\n\n{i}"}]}
    for i in range(4)
]
LONG = [
    {"prompt": "What is it?", "completion": "word " * (5 if i < 16 else 300)} for i in range(20)
] + [{"prompt": "word " * 400, "completion": "yes"}]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder for models that several tests read."""
    return tmp_path_factory.mktemp("models")


def worked(model: Path, folder: Path, rows: Any, *, train: bool = False, **more: Any) -> Any:
    """Return the work of a stage, its trainer made on rows and, if wanted, trained for a step."""
    kind = load_plugins().kind("sft")
    given = {"kind": "sft", "model": str(model), "dtype": "float32", **more}
    given["args"] = {**SMALL, **more.get("args", {})}
    stage, problems = parse(stage_class(kind), given)
    assert problems == []
    stage.args = args_of("SFTConfig", stage.args, kind.fields)
    folder.mkdir(parents=True, exist_ok=True)
    dataset = rows if isinstance(rows, Dataset) else Dataset.from_list(rows)
    shared = (load_plugins(), Tracking(), StageTransitions({}))
    work = TrainerOnly(stage, "x", kind, folder, 1, 1, *shared, given=dataset)
    work.metrics = dict(kind.run(work))  # type: ignore[attr-defined]
    if train:
        StageWork.train(work, work.trainer)
    return work


def shown(work: Any) -> list[str]:
    """Return the rows of a trainer, what is in the loss in brackets."""
    rows, tokenizer = work.trainer.train_dataset, work.trainer.processing_class
    return [marked(Sample(row["input_ids"], row["labels"]), tokenizer) for row in rows]


SMALL = {
    "max_steps": 1,
    "per_device_train_batch_size": 2,
    "gradient_checkpointing": False,
    "save_strategy": "no",
    "max_length": 256,
}


def test_the_loss_is_on_the_assistants_messages_whatever_packs_them(
    models: Path, tmp_path: Path
) -> None:
    model = awkward_model("r1_distill", models)
    begin = "<|bos|><|User|>What is 1 + 1?<|Assistant|><think>\n"
    expected = [f"{begin}⟦{i}\n</think>\n\n{i}<|eos|>⟧" for i in range(4)]
    assert shown(worked(model, tmp_path / "a", CHATS)) == expected
    assert (
        shown(worked(model, tmp_path / "b", CHATS, args={"assistant_only_loss": True})) == expected
    )
    packed = worked(model, tmp_path / "c", CHATS, args={"packing": True})
    assert shown(packed) == ["".join(expected)]
    everything = worked(model, tmp_path / "d", CHATS, args={"completion_only_loss": False})
    assert shown(everything)[0].startswith(f"⟦{begin}")


def test_sources_of_messages_and_of_completions_are_mixed(models: Path, tmp_path: Path) -> None:
    model = awkward_model("chatml", models)
    nothing = {"prompt": None, "completion": None}
    answered = {"prompt": "Hi?", "completion": "Ho.", "messages": None}
    rows = [nothing | CHATS[0], answered]
    assert [text.partition("assistant\n")[2] for text in shown(worked(model, tmp_path, rows))] == [
        "⟦<think>\n0\n</think>\n\n0<|im_end|>⟧",
        "⟦Ho.<|im_end|>⟧",
    ]


def test_tokens_and_labels_of_texts_are_those_of_trl(models: Path, tmp_path: Path) -> None:
    model = awkward_model("chatml", models)
    template = "User: {{ prompt }} Assistant: "
    work = worked(model, tmp_path / "a", LONG[:4], template=template)
    rows = [{**row, "prompt": f"User: {row['prompt']} Assistant: "} for row in LONG[:4]]
    theirs = trl.SFTTrainer(
        model=str(model),
        args=trl.SFTConfig(output_dir=str(tmp_path / "b"), use_cpu=True, bf16=False),
        train_dataset=Dataset.from_list(rows),
        processing_class=work.tokenizer(),
    )
    for name in ("input_ids", "labels"):
        assert work.trainer.train_dataset[name][:] == theirs.train_dataset[name][:]


def test_rows_that_max_length_cuts_and_drops_are_counted(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = awkward_model("chatml", models)
    work = worked(model, tmp_path, LONG, max_truncated_rate=0.3)
    written = json.loads((tmp_path / "data" / "lengths.json").read_text())
    counts = {"rows": 21, "samples": 21, "truncated": 4, "dropped": 1}
    assert written.items() >= {"max_length": 256, **counts}.items()
    assert written["longest"] > 400 and len(work.trainer.train_dataset) == 20
    assert work.metrics == {
        "rows": 21, "rows/samples": 21, "rows/truncated": 4, "rows/dropped": 1
    }  # fmt: skip
    told = "max_length=256 cuts 4 rows, and leaves nothing in the loss of 1, which are dropped"
    assert told in capsys.readouterr().out


@pytest.mark.parametrize("args", [{}, {"packing": True}, {"truncation_mode": "keep_end"}])
def test_too_many_cut_rows_fail_the_stage(
    args: dict[str, Any], models: Path, tmp_path: Path
) -> None:
    model = awkward_model("chatml", models)
    dropped = 0 if "truncation_mode" in args else 1
    with pytest.raises(StageError) as error:
        worked(model, tmp_path, LONG, args=args)
    assert str(error.value).startswith(
        f"stages.x.args.max_length: 21 rows; max_length=256 cuts {5 - dropped} rows, and leaves "
        f"nothing in the loss of {dropped}, which are dropped; half of the samples have more than"
    )
    assert "or allow them with stages.x.max_truncated_rate=0.24" in str(error.value)


@pytest.mark.parametrize("args", [{}, {"packing": True}])
def test_rows_that_are_all_dropped_fail_whatever_is_allowed(
    args: dict[str, Any], models: Path, tmp_path: Path
) -> None:
    model = awkward_model("chatml", models)
    with pytest.raises(StageError, match=r"stages\.x\.args\.max_length: 1 rows; max_length=256"):
        worked(model, tmp_path, LONG[-1:], args=args, max_truncated_rate=1.0)


def test_packing_that_splits_long_rows_cuts_none(models: Path, tmp_path: Path) -> None:
    model = awkward_model("chatml", models)
    work = worked(model, tmp_path, LONG, args={"packing": True, "packing_strategy": "bfd_split"})
    assert work.metrics["rows/truncated"] == work.metrics["rows/dropped"] == 0


def test_a_row_that_cannot_be_written_is_named(models: Path, tmp_path: Path) -> None:
    rows = [{**row, "source": "chats"} for row in CHATS]
    rows[2] = {"messages": [{"role": "system", "content": "Be."}, QUESTION], "source": "chats"}
    with pytest.raises(
        StageError, match=r"^stages\.x\.data: row 3 of the source 'chats' cannot be"
    ):
        worked(awkward_model("chatml", models), tmp_path, rows)


def test_a_stage_that_continues_does_not_tokenise_again(models: Path, tmp_path: Path) -> None:
    model, data = awkward_model("chatml", models), tmp_path / "data"
    Dataset.from_list(CHATS).to_parquet(tmp_path / "rows.parquet")

    def cached() -> dict[str, int]:
        rows = Dataset.from_parquet(str(tmp_path / "rows.parquet"), cache_dir=str(data))
        worked(model, tmp_path, rows)
        return {str(file): file.stat().st_mtime_ns for file in data.rglob("*.arrow")}

    first = cached()
    assert len(first) > 1 and cached() == first


def test_the_template_that_is_given_is_trained_on_and_saved(models: Path, tmp_path: Path) -> None:
    model, file = awkward_model("r1_distill", models), tmp_path / "plain.jinja"
    file.write_text(tokenizer_of("plain").chat_template)
    work = worked(model, tmp_path, CHATS, train=True, args={"chat_template_path": str(file)})
    start = "<|bos|>### user: What is 1 + 1?\n### assistant: "
    assert shown(work)[0] == f"{start}⟦<think>\n0\n</think>\n\n0<|eos|>⟧"
    saved = AutoTokenizer.from_pretrained(tmp_path / "model")
    assert saved.chat_template == file.read_text()


def test_the_template_of_another_model_comes_with_its_tokens(models: Path, tmp_path: Path) -> None:
    model, source = awkward_model("llama_base", models), awkward_model("chatml", models)
    work = worked(model, tmp_path, CHATS, train=True, args={"chat_template_path": str(source)})
    saved = AutoTokenizer.from_pretrained(tmp_path / "model")
    row = work.trainer.train_dataset[0]
    assert row["labels"][-1] == saved.convert_tokens_to_ids("<|im_end|>") == saved.eos_token_id
    assert saved.apply_chat_template([QUESTION], tokenize=False) in saved.decode(row["input_ids"])
    trained = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    assert max(row["input_ids"]) < trained.get_input_embeddings().num_embeddings


def test_the_end_token_is_that_of_the_template_that_is_given(models: Path, tmp_path: Path) -> None:
    model, file = awkward_model("llama_base", models), tmp_path / "turns.jinja"
    file.write_text("{% for m in messages %}{{ m.role }}: {{ m.content }}<|eot_id|>{% endfor %}")
    work = worked(model, tmp_path, CHATS, train=True, args={"chat_template_path": str(file)})
    assert shown(work)[0].endswith("⟦assistant: <think>\n0\n</think>\n\n0<|eot_id|>⟧")
    saved = AutoTokenizer.from_pretrained(tmp_path / "model")
    ends = GenerationConfig.from_pretrained(tmp_path / "model").eos_token_id
    assert saved.eos_token == "<|eot_id|>"
    assert ends == [saved.eos_token_id, saved.convert_tokens_to_ids("<|end_of_text|>")]


def test_an_argument_about_messages_is_refused_for_texts(models: Path, tmp_path: Path) -> None:
    model, args = awkward_model("chatml", models), {"assistant_only_loss": True}
    with pytest.raises(StageError, match=r"^stages\.x\.args\.assistant_only_loss: needs rows with"):
        worked(model, tmp_path / "a", LONG[:2], args=args)
    row = {"prompt": [QUESTION], "completion": [{"role": "assistant", "content": "2"}]}
    assert shown(worked(model, tmp_path / "b", [row], args=args))[0].endswith("⟦2<|im_end|>⟧")


def test_a_chat_template_that_is_not_there_is_told(models: Path, tmp_path: Path) -> None:
    model, args = awkward_model("chatml", models), {"chat_template_path": "/no/such/model"}
    with pytest.raises(StageError, match=r"^stages\.x\.args\.chat_template_path: "):
        worked(model, tmp_path, CHATS, args=args)
    stage = SimpleNamespace(args={"chat_template_path": "none.jinja"}, template=None)
    assert list(load_plugins().kind("sft").problems(stage)) == [
        ("args.chat_template_path", "there is no file none.jinja")
    ]
