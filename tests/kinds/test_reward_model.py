"""Reward models: their rows, and every field of RewardConfig on single texts as on pairs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from one_step import ARGS, ROWS, OneStep

from r1trl.errors import StageError
from r1trl.kinds.reward_rows import label, margin

Rows = Sequence[Mapping[str, Any]]


@pytest.mark.parametrize(
    ("value", "number"),
    [
        *((1, 1.0), (0, 0.0), (True, 1.0), (False, 0.0), (1.0, 1.0), (0.25, 0.25)),
        *(("1", 1.0), ("0", 0.0), (" True\n", 1.0), ("false", 0.0), ("0.5", 0.5)),
    ],
)
def test_a_label_is_true_or_false_or_a_number_from_0_to_1(value: Any, number: float) -> None:
    assert label(value) == number


@pytest.mark.parametrize(
    "value",
    [None, 2, -1, 1.01, "safe", "yes", "", "nan", float("nan"), float("inf"), "2024-01-01", [1]],
)
def test_other_labels_are_none(value: Any) -> None:
    assert label(value) != label(value), "NaN"


def test_a_missing_margin_is_0_and_what_is_not_finite_is_none() -> None:
    assert [margin(value) for value in (None, 2, "0.5", -1.5)] == [0.0, 2.0, 0.5, -1.5]
    assert all(margin(value) != margin(value) for value in ("big", float("inf"), [1.0]))


def changed(rows: Rows, **columns: Sequence[Any]) -> Rows:
    """Return rows with columns set, as often repeated as there are rows."""
    return [
        {**row, **{name: values[i % len(values)] for name, values in columns.items()}}
        for i, row in enumerate(rows)
    ]


def stage(name: str, model: Path, folder: Path, rows: Rows = ROWS) -> OneStep:
    """Return stages of an objective on rows."""
    folder.mkdir(exist_ok=True)
    return OneStep(name, model, folder, rows=rows)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([0, 1, "unsafe"], None),
        ([0, 1, 2], r"row 2 \(from 0\) has the label 2; a label is true or false"),
        (
            [1, -1],
            r"row 1 \(from 0\) has the label -1; a label is true or false, or a number",
        ),
        (["safe", "unsafe"], r"row 0 \(from 0\) has the label 'safe'; "),
        ([1, 1, None], r"row 2 \(from 0\) has no label; "),
        ([0.0, 1.5], r"row 1 \(from 0\) has the label 1.5; "),
    ],
)
def test_a_label_that_says_nothing_is_refused_with_its_row(
    labels: Sequence[Any], said: str | None, tiny_model: Path, tmp_path: Path
) -> None:
    rows = changed(ROWS, label=labels)
    with pytest.raises(StageError, match=rf"^stages\.x\.data: {said}" if said else r"stages\.x\."):
        stage("pointwise", tiny_model, tmp_path, rows).train({})
    assert not list(tmp_path.glob("*/checkpoints"))


@pytest.mark.slow
def test_labels_of_all_types_train_the_same_weights(tiny_model: Path, tmp_path: Path) -> None:
    made = {}
    for name, zero, one in [("int", 0, 1), ("bool", False, True), ("text", "0", "true")]:
        trained = stage("pointwise", tiny_model, tmp_path / name, changed(ROWS, label=[zero, one]))
        metrics = trained.train({})
        made[name] = trained.weights()
    assert set(made.values()) == {made["int"]}
    assert {"num_tokens", "accuracy", "min_reward", "mean_reward", "max_reward"} <= metrics.keys()


@pytest.mark.slow
def test_a_pointwise_step_is_one_of_binary_cross_entropy(tiny_model: Path, tmp_path: Path) -> None:
    """A plain loop over two micro-batches: every text ends with the end token, padded right."""
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, set_seed

    rows = changed(ROWS, label=[0.0, 1.0, 0.25])
    args = {"max_grad_norm": 0.0, "optim": "sgd", "train_sampling_strategy": "sequential"}
    trained = stage("pointwise", tiny_model, tmp_path, rows)
    trained.train({**args, "max_steps": 2})
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    set_seed(1)
    model = AutoModelForSequenceClassification.from_pretrained(
        tiny_model, num_labels=1, dtype=torch.float32
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=ARGS["learning_rate"])
    for batch in (rows[:4], rows[4:]):
        texts = [row["prompt"] + row["completion"] + tokenizer.eos_token for row in batch]
        inputs = tokenizer(texts, padding=True, padding_side="right", return_tensors="pt")
        logits = model(
            input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]
        ).logits
        labels = torch.tensor([row["label"] for row in batch])
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits[:, 0], labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    saved = load_file(trained.last / "model/model.safetensors")
    for name, weight in model.state_dict().items():
        torch.testing.assert_close(saved[name], weight, rtol=1e-5, atol=1e-6)


@pytest.fixture(scope="module")
def with_dropout(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """Return the folder of a random GPT-NeoX with modules of dropout, and the tiny tokenizer."""
    import torch
    from transformers import AutoTokenizer, GPTNeoXConfig, GPTNeoXForCausalLM

    folder = tmp_path_factory.mktemp("dropout") / "model"
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    config = GPTNeoXConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        hidden_dropout=0.5,
        max_position_embeddings=512,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(0)
    GPTNeoXForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


LONG = {**ROWS[0], "completion": "1" * 60, "chosen": "1" * 60}
# Fields of RewardConfig, and whether they change the weights that are trained.
FIELDS: Sequence[tuple[dict[str, Any], bool]] = [
    ({"disable_dropout": False}, True),
    ({"disable_dropout": True}, False),
    ({"eos_token": "<bos>"}, True),
    ({"max_length": 40}, True),
    ({"max_length": None}, False),
    ({"pad_to_multiple_of": 32}, False),
    ({"dataset_num_proc": 2}, False),
    ({"trust_remote_code": True}, False),
]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["pairwise", pytest.param("pointwise", marks=pytest.mark.long)])
def test_a_field_of_the_config_changes_single_texts_as_it_does_pairs(
    name: str, with_dropout: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch
    from safetensors.torch import load_file

    args = {"train_sampling_strategy": "sequential", "max_steps": 2, "optim": "sgd"}
    trained = stage(name, with_dropout, tmp_path, [LONG, *ROWS])

    def weights(own: Mapping[str, Any]) -> torch.Tensor:
        trained.train({**args, **own})
        tensors = load_file(trained.last / "model/model.safetensors")
        return torch.cat([tensors[key].flatten() for key in sorted(tensors)])

    before = weights({})
    for own, changes in FIELDS:
        assert trained.problems(own) == [], own
        difference = (weights(own) - before).abs().max().item()
        assert (difference > 1e-5) == changes, (own, difference)
    said = "args.max_length: 1 of 9 rows are longer than 40 tokens, and are left out"
    assert said in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pairwise", "pointwise"])
def test_rows_that_are_all_too_long_name_the_argument(
    name: str, tiny_model: Path, tmp_path: Path
) -> None:
    said = r"^stages\.x\.args\.max_length: 8 of 8 rows are longer than 3 tokens, and none is left"
    with pytest.raises(StageError, match=said):
        stage(name, tiny_model, tmp_path).train({"max_length": 3})


@pytest.mark.slow
def test_margins_reach_trls_loss(tiny_model: Path, tmp_path: Path) -> None:
    from datasets import Dataset
    from trl import RewardConfig, RewardTrainer

    rows = changed(ROWS, margin=[0.5, None, 3])
    args = {"max_steps": 2, "train_sampling_strategy": "sequential"}
    with_margins = stage("pairwise", tiny_model, tmp_path / "with", rows)
    with_margins.train(args)
    without = stage("pairwise", tiny_model, tmp_path / "without")
    without.train(args)
    assert with_margins.weights() != without.weights()
    config = {**ARGS, **args, "output_dir": str(tmp_path / "trl"), "report_to": "none"}
    trl_rows = [
        {
            "chosen": row["prompt"] + row["chosen"],
            "rejected": row["prompt"] + row["rejected"],
            "margin": float(row["margin"] or 0),
        }
        for row in rows
    ]
    trainer = RewardTrainer(
        model=str(tiny_model),
        args=RewardConfig(**config, seed=1, use_cpu=True, bf16=False),
        train_dataset=Dataset.from_list(trl_rows),
    )
    trainer.train()
    trainer.save_model(str(tmp_path / "trl/model"))
    assert (tmp_path / "trl/model/model.safetensors").read_bytes() == with_margins.weights()


@pytest.mark.slow
def test_pairs_that_teach_nothing_are_left_out_and_counted(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = [
        {**ROWS[0], "chosen": "same", "rejected": "same"},
        {**ROWS[0], "chosen": "", "rejected": "no"},
        {**ROWS[0], "chosen": "", "rejected": ""},
    ]
    plain, mixed = (
        stage("pairwise", tiny_model, tmp_path / name, rows)
        for name, rows in (("plain", ROWS), ("mixed", [*odd, *ROWS]))
    )
    plain.train({})
    mixed.train({})
    assert mixed.weights() == plain.weights()
    assert (
        "stages.x.data: of 11 rows these are left out: 1 have an empty chosen text, 2 have "
        "equal texts" in capsys.readouterr().out
    )
    with pytest.raises(StageError, match=r"^stages\.x\.data: nothing can be learned from any of 3"):
        stage("pairwise", tiny_model, tmp_path / "odd", odd).train({})


@pytest.mark.slow
def test_a_wrong_margin_is_refused_with_its_row(tiny_model: Path, tmp_path: Path) -> None:
    wide = stage("pairwise", tiny_model, tmp_path / "m", changed(ROWS, margin=["1", "wide"]))
    with pytest.raises(
        StageError, match=r"^stages\.x\.data: row 1 \(from 0\) has the margin 'wide'; a margin"
    ):
        wide.train({})
