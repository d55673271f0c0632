"""Rows are loaded, mapped, filtered, put together and rendered; every error names its key."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

from r1trl.config.schema import SourceConfig
from r1trl.data.filters import apply_filters
from r1trl.data.prompts import need_columns, render
from r1trl.data.rows import load_data, load_stage_rows
from r1trl.data.sources import fill, map_columns
from r1trl.errors import StageError
from r1trl.plugins.loading import Plugins, load
from r1trl.variants import PromptSettings

FILTERS = """\
import r1trl

def even(rows):
    return rows.filter(lambda row: int(row["solution"]) % 2 == 0)

def above(rows, *, least: int):
    return rows.filter(lambda row: int(row["solution"]) > least)

def broken(rows):
    raise KeyError("no such thing")

def odd(rows):
    verdicts = ["an even solution", None]
    return [verdicts[int(row["solution"]) % 2] for row in rows]

def too_few(rows):
    return [None]

def mask(rows):
    return [int(row["solution"]) % 2 == 0 for row in rows]

def elsewhere(rows, *, benchmarks: "r1trl.Benchmarks | None" = None):
    rows_of = {p: f"{n}, row {i}" for n, b in benchmarks.items() for i, p in enumerate(b["prompt"])}
    return [rows_of.get(prompt) for prompt in rows["prompt"]]

def made(*, count: int = 3, seed: int = 0):
    from datasets import Dataset
    return Dataset.from_dict({"prompt": [f"{seed}/{i}" for i in range(count)]})

@r1trl.hookimpl
def r1trl_filters():
    return {
        "even": even,
        "above": above,
        "broken": broken,
        "odd": odd,
        "too_few": too_few,
        "mask": mask,
        "elsewhere": elsewhere,
    }

@r1trl.hookimpl
def r1trl_datasets():
    return {"made": made, "forgotten": lambda: None, "listed": lambda: [{"prompt": "a"}]}
"""


@pytest.fixture
def plugins(plugin_file: Any) -> Plugins:
    """Return plugins with the filters and the dataset above."""
    return load([plugin_file(FILTERS)])


def jsonl(path: Path, rows: list[dict[str, Any]]) -> str:
    """Write rows to a file; return its path."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


NUMBERS = [{"prompt": f"p{i}", "solution": str(i)} for i in range(1, 7)]


def test_columns_are_kept_under_their_new_names_and_filled_from_templates(toy_rows: Any) -> None:
    columns = {
        "prompt": "{{ prompt }} Think.",
        "question": "prompt",
        "gold": "solution",
        "domain": "{{ 'math' }}",
        "twice": "{{ solution | int * 2 }}",
        "weird": "{{ row['language'] | upper }}",
    }
    mapped = map_columns(toy_rows, columns)
    assert mapped.column_names == list(columns)
    assert mapped[0] == {
        "prompt": "What is 1 plus 2? Think.",
        "question": "What is 1 plus 2?",
        "gold": "3",
        "domain": "math",
        "twice": "6",
        "weird": "EN",
    }


def test_without_columns_the_rows_are_unchanged(toy_rows: Any) -> None:
    assert map_columns(toy_rows, {}) is toy_rows


def test_two_columns_can_change_places(toy_rows: Any) -> None:
    mapped = map_columns(toy_rows, {"prompt": "solution", "solution": "prompt"})
    assert mapped[0] == {"prompt": "3", "solution": "What is 1 plus 2?"}


def test_a_missing_column_is_named_with_the_existing_ones(toy_rows: Any) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared below
        map_columns(toy_rows, {"gold": "soluton"})
    assert str(caught.value) == (
        "columns.gold: the rows have no column 'soluton' (did you mean 'solution'?); "
        "they have: prompt, solution, language"
    )


def test_a_template_that_needs_a_missing_column_is_named(toy_rows: Any) -> None:
    with pytest.raises(ValueError, match=r"'answer' is undefined; columns: prompt, solution"):
        fill("{{ answer }}", toy_rows[0])


def test_a_template_cannot_reach_into_python() -> None:
    with pytest.raises(ValueError, match="unsafe"):
        fill("{{ prompt.__class__.__mro__ }}", {"prompt": "x"})


def test_filters_are_applied_in_order_and_counted(plugins: Plugins) -> None:
    rows = Dataset.from_list(NUMBERS)
    kept, counts = apply_filters(rows, {"even": {}, "above": {"least": 2}}, plugins, "f")
    assert kept["solution"][:] == ["4", "6"]
    assert counts == [{"filter": "even", "in": 6, "out": 3}, {"filter": "above", "in": 3, "out": 2}]


def test_the_reasons_that_a_filter_gives_are_counted_and_some_rows_are_told(
    plugins: Plugins,
) -> None:
    rows = [{**row, "more": [7], "text": "long " * 200, "none": None} for row in NUMBERS * 2]
    kept, (record,) = apply_filters(Dataset.from_list(rows), {"odd": {}}, plugins, "f")
    assert kept["solution"][:] == ["1", "3", "5"] * 2
    dropped = record.pop("dropped")["an even solution"]
    assert record == {"filter": "odd", "in": 12, "out": 6, "reasons": {"an even solution": 6}}
    assert [row["solution"] for row in dropped] == ["2", "4", "6"]
    assert all(row["more"] == "[7]" and "none" not in row for row in dropped)
    assert all(500 < len(row["text"]) < 510 and " … " in row["text"] for row in dropped)


def test_a_secret_in_a_dropped_row_is_hidden_where_its_text_is_cut(
    plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINE_API_KEY", "sesame-0123456789")
    rows = [{"prompt": f"{'x' * 240}sesame-0123456789{'y' * 900}", "solution": n} for n in "12"]
    (record,) = apply_filters(Dataset.from_list(rows), {"odd": {}}, plugins, "f")[1]
    (row,) = record["dropped"]["an even solution"]
    assert "sesame" not in row["prompt"] and " … " in row["prompt"]


def test_a_filter_that_gives_too_few_verdicts_is_named(plugins: Plugins) -> None:
    message = "f.too_few: TypeError: returned a list of 1 entries for 6 rows; a filter returns"
    with pytest.raises(StageError, match=message):
        apply_filters(Dataset.from_list(NUMBERS), {"too_few": {}}, plugins, "f")


def test_a_filter_that_answers_true_and_false_is_told(plugins: Plugins) -> None:
    with pytest.raises(StageError, match=r"f\.mask: TypeError: returned False for a row; a filter"):
        apply_filters(Dataset.from_list(NUMBERS), {"mask": {}}, plugins, "f")


@pytest.mark.parametrize(("name", "returned"), [("forgotten", "None"), ("listed", "a list")])
def test_a_plugins_dataset_that_returns_something_else_is_named(
    name: str, returned: str, plugins: Plugins
) -> None:
    message = f"data.a: dataset '{name}' returned {returned}; it returns a datasets.Dataset"
    with pytest.raises(StageError, match=message):
        load_data({"a": SourceConfig(dataset=name)}, {}, plugins, 0, "")


def test_a_filter_gets_the_rows_of_benchmarks(plugins: Plugins, tmp_path: Path) -> None:
    source = {"path": jsonl(tmp_path / "b.jsonl", [{"ask": "x"}, {"ask": "p3"}])}
    options = {"benchmarks": {"b": {**source, "columns": {"prompt": "ask"}}}}
    kept, counts = apply_filters(Dataset.from_list(NUMBERS), {"elsewhere": options}, plugins, "f")
    assert len(kept) == 5 and counts[0]["reasons"] == {"b, row 1": 1}


def test_a_dropped_filter_is_not_applied(plugins: Plugins) -> None:
    kept, counts = apply_filters(Dataset.from_list(NUMBERS), {"even": None}, plugins, "f")
    assert len(kept) == 6 and counts == []


def test_if_no_row_is_left_the_error_has_the_counts_of_every_filter(plugins: Plugins) -> None:
    with pytest.raises(StageError) as caught:
        apply_filters(
            Dataset.from_list(NUMBERS), {"even": {}, "above": {"least": 9}}, plugins, "stages.x.f"
        )
    assert str(caught.value) == ("stages.x.f: no row is left: even kept 3 of 6, above kept 0 of 3")


def test_a_filter_that_fails_is_named(plugins: Plugins) -> None:
    with pytest.raises(StageError, match=r"^stages.x.f.broken: KeyError: 'no such thing'$"):
        apply_filters(Dataset.from_list(NUMBERS), {"broken": {}}, plugins, "stages.x.f")


def test_sources_are_put_together_with_aligned_columns(plugins: Plugins, tmp_path: Path) -> None:
    more = [{"prompt": "q", "language": "zh", "source": "its own"}]
    sources = {
        "numbers": SourceConfig(path=jsonl(tmp_path / "n.jsonl", NUMBERS), filters={"even": {}}),
        "more": SourceConfig(path=jsonl(tmp_path / "m.jsonl", more)),
        "made": SourceConfig(dataset="made", options={"count": 1}),
    }
    said: list[str] = []
    rows, counts = load_data(sources, {}, plugins, 5, "stages.x", say=said.append)
    assert rows.remove_columns("row/source").to_list() == [
        *(
            {"prompt": f"p{i}", "solution": str(i), "source": "numbers", "language": None}
            for i in (2, 4, 6)
        ),
        {"prompt": "q", "solution": None, "source": "more", "language": "zh"},
        {"prompt": "5/0", "solution": None, "source": "made", "language": None},
    ]
    assert rows["row/source"][:] == [None, None, None, "its own", None]
    assert said == ["stages.x.data.more: the rows' own column 'source' is 'row/source' here"]
    assert counts == {
        "numbers": [{"filter": "even", "in": 6, "out": 3}],
        "more": [],
        "made": [],
        "all": [],
    }


def test_filters_of_the_stage_see_the_rows_of_all_sources(plugins: Plugins, tmp_path: Path) -> None:
    source = SourceConfig(path=jsonl(tmp_path / "n.jsonl", NUMBERS))
    rows, counts = load_data({"a": source, "b": source}, {"even": {}}, plugins, 1, "stages.x")
    assert rows["source"][:] == ["a"] * 3 + ["b"] * 3
    assert counts["all"] == [{"filter": "even", "in": 12, "out": 6}]


SPELLINGS = {
    "n.jsonl": '{"prompt": "p", "solution": 1}\n{"prompt": "p", "solution": 2.50}\n',
    "t.jsonl": '{"prompt": "p", "solution": "x"}\n',
    "c.csv": "prompt,solution\np,7\n",
    "l.jsonl": '{"prompt": "p", "solution": ["y", "z"]}\n',
    "m.jsonl": '{"prompt": [{"role": "user", "content": "p"}], "solution": true}\n',
}


@pytest.mark.parametrize(
    ("files", "solutions"),
    [
        (["n.jsonl", "c.csv"], [1.0, 2.5, 7.0]),
        (["n.jsonl", "t.jsonl"], ["1", "2.5", "x"]),
        (["t.jsonl", "c.csv"], ["x", "7"]),
        (["c.csv", "m.jsonl"], ["7", "True"]),
        (["n.jsonl", "l.jsonl"], [["1"], ["2.5"], ["y", "z"]]),
    ],
)
def test_golds_of_several_types_fit_together(
    files: list[str], solutions: list[Any], plugins: Plugins, tmp_path: Path
) -> None:
    for name, text in SPELLINGS.items():
        (tmp_path / name).write_text(text)
    sources = {name[0]: SourceConfig(path=str(tmp_path / name)) for name in files}
    rows = load_stage_rows(sources, {}, plugins, 1, "stages.x", tmp_path / "data")
    assert rows["solution"][:] == solutions


def test_sampled_rows_are_random_and_the_same_for_a_seed(plugins: Plugins) -> None:
    def sampled(seed: int, count: int) -> list[str]:
        options = {"count": 50, "seed": 0}
        source = SourceConfig(dataset="made", options=options, sample_rows=count)
        return load_data({"a": source}, {}, plugins, seed, "stages.x")[0]["prompt"][:]

    assert len(sampled(1, 5)) == 5 and sampled(1, 5) == sampled(1, 5) != sampled(2, 5)
    assert sampled(1, 5) != [f"0/{i}" for i in range(5)]
    assert len(sampled(1, 99)) == 50


def test_rows_are_sampled_after_the_filters(plugins: Plugins, tmp_path: Path) -> None:
    path = jsonl(tmp_path / "n.jsonl", NUMBERS)
    source = SourceConfig(path=path, filters={"even": {}}, sample_rows=3)
    rows, _ = load_data({"a": source}, {}, plugins, 1, "stages.x")
    assert sorted(rows["solution"]) == ["2", "4", "6"]


def test_weights_make_the_largest_mixture_in_which_no_row_comes_twice(plugins: Plugins) -> None:
    def source(count: int, weight: float) -> SourceConfig:
        options = {"count": count, "seed": count}
        return SourceConfig(dataset="made", options=options, weight=weight)

    sources = {"many": source(90, 3), "few": source(10, 1), "more": source(40, 1)}
    rows, _ = load_data(sources, {}, plugins, 1, "stages.x")
    assert Counter(rows["source"][:]) == {"many": 30, "few": 10, "more": 10}
    assert len(set(rows["prompt"][:])) == 50
    many = [row["prompt"] for row in rows if row["source"] == "many"]
    assert many != [f"90/{i}" for i in range(30)], "sampled from all rows"


@pytest.mark.parametrize("name", ["n.jsonl", "n.csv", "n.parquet"])
def test_take_reads_only_the_head_of_a_source(name: str, plugins: Plugins, tmp_path: Path) -> None:
    path = tmp_path / name
    write = {"n.jsonl": "to_json", "n.csv": "to_csv", "n.parquet": "to_parquet"}[name]
    getattr(Dataset.from_list(NUMBERS), write)(path)
    source = SourceConfig(path=str(path), take=4, columns={"prompt": "prompt"})
    rows, _ = load_data({"a": source}, {}, plugins, 1, "stages.x")
    assert rows["prompt"][:] == ["p1", "p2", "p3", "p4"]


def test_a_dataset_gets_the_runs_seed_unless_it_has_one(plugins: Plugins) -> None:
    sources = {
        "a": SourceConfig(dataset="made"),
        "b": SourceConfig(dataset="made", options={"seed": 0}),
    }
    rows, _ = load_data(sources, {}, plugins, 7, "stages.x")
    assert rows["prompt"][:] == [f"{seed}/{i}" for seed in (7, 0) for i in range(3)]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"path": "no_such.jsonl"}, "stages.x.data.a: there is no file no_such.jsonl"),
        ({"dataset": "mad"}, "no dataset is called 'mad' (did you mean 'made'?)"),
        (
            {"dataset": "made", "columns": {"prompt": "promt"}},
            "stages.x.data.a: columns.prompt: the rows have no column 'promt'",
        ),
        ({"dataset": "made", "options": {"count": 0}}, "stages.x.data.a: "),
    ],
)
def test_a_source_that_cannot_be_read_is_named(
    source: dict[str, Any], message: str, plugins: Plugins
) -> None:
    with pytest.raises(StageError) as caught:
        load_data({"a": SourceConfig(**source)}, {}, plugins, 1, "stages.x")
    assert message in str(caught.value)


def test_a_stages_rows_and_counts_are_written_and_read_again(
    plugins: Plugins, tmp_path: Path
) -> None:
    path, above = jsonl(tmp_path / "n.jsonl", NUMBERS), {"above": {"least": 2}}
    sources = {"n": SourceConfig(path=path, filters={"even": {}})}
    rows = load_stage_rows(sources, above, plugins, 1, "stages.x", tmp_path / "data")
    assert rows["solution"][:] == ["4", "6"]
    assert json.loads((tmp_path / "data" / "filters.json").read_text()) == {
        "n": [{"filter": "even", "in": 6, "out": 3}],
        "all": [{"filter": "above", "in": 3, "out": 2}],
    }
    written = Dataset.from_parquet(str(tmp_path / "data" / "rows.parquet"), cache_dir=str(tmp_path))
    assert written.to_list() == rows.to_list()


def test_equal_rows_of_a_later_attempt_are_not_processed_again(
    plugins: Plugins, tmp_path: Path
) -> None:
    path, data = tmp_path / "n.jsonl", tmp_path / "data"

    def stage_rows(rows: list[dict[str, Any]]) -> Dataset:
        sources = {"n": SourceConfig(path=jsonl(path, rows))}
        return load_stage_rows(sources, {}, plugins, 1, "stages.x", tmp_path / "data")

    def cached() -> set[str]:
        stage_rows(NUMBERS).map(lambda row: {"more": row["prompt"]})
        return {file.name for file in data.rglob("*.arrow")}

    first = cached()
    assert cached() == first
    assert len(stage_rows(NUMBERS[:-1])) == len(NUMBERS) - 1
    assert len(list(data.rglob("*.arrow"))) == 1, "the cache of other rows is removed"
    assert {file.name for file in data.iterdir()} == {".cache", "filters.json", "rows.parquet"}


def prompts(rows: list[Any], tokenizer: Any, template: str | None, prefill: str = "") -> list[str]:
    """Return rendered prompts."""
    dataset = Dataset.from_list([{"prompt": row} for row in rows])
    return render(dataset, tokenizer, PromptSettings(template, None, prefill))["prompt"][:]


def test_a_prompt_is_rendered_with_the_chat_template(tokenizer: Any) -> None:
    assert prompts(["Hi?"], tokenizer, None) == ["<|user|>Hi?\n<|assistant|>"]


def test_messages_are_rendered_with_the_chat_template(tokenizer: Any) -> None:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi?"}]
    assert prompts([messages], tokenizer, None) == [
        "<|system|>Be brief.\n<|user|>Hi?\n<|assistant|>"
    ]


def test_a_system_prompt_comes_before_messages_that_have_none(tokenizer: Any) -> None:
    own = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi?"}]
    rows = Dataset.from_list([{"prompt": own}, {"prompt": own[1:]}])
    plain = Dataset.from_list([{"prompt": "Hi?"}])
    rendered = [
        prompt
        for dataset in (rows, plain)
        for prompt in render(dataset, tokenizer, PromptSettings(system="Be kind."))["prompt"]
    ]
    kind = "<|system|>Be kind.\n<|user|>Hi?\n<|assistant|>"
    assert rendered == [kind.replace("kind", "brief"), kind, kind]


def test_a_raw_template_is_used_in_place_of_the_chat_template(tokenizer: Any) -> None:
    template = "User: {{ prompt }} Assistant:"
    assert prompts(["Hi?"], tokenizer, template) == ["User: Hi? Assistant:"]
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi?"}]
    assert prompts([messages], tokenizer, template) == ["User: Hi? Assistant:"]


@pytest.mark.parametrize("template", [None, "User: {{ prompt }} Assistant:"])
def test_a_prefill_follows_every_template(template: str | None, tokenizer: Any) -> None:
    plain = prompts(["Hi?"], tokenizer, template)
    assert prompts(["Hi?"], tokenizer, template, "<think>\n") == [f"{plain[0]}<think>\n"]


def test_the_plain_question_is_kept(tokenizer: Any) -> None:
    rows = Dataset.from_list(
        [{"prompt": "Hi? Think.", "question": "Hi?"}, {"prompt": "Ho?", "question": None}]
    )
    assert render(rows, tokenizer, PromptSettings())["question"][:] == ["Hi?", "Ho?"]


def test_a_tokenizer_without_a_chat_template_needs_a_raw_one(tokenizer: Any) -> None:
    tokenizer.chat_template = None
    with pytest.raises(StageError, match="has no chat template; give the stage a template=…"):
        prompts(["Hi?"], tokenizer, None)
    assert prompts(["Hi?"], tokenizer, "Q {{ prompt }}") == ["Q Hi?"]


def test_the_beginning_token_is_not_doubled(tokenizer: Any) -> None:
    from tokenizers.processors import TemplateProcessing

    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<bos> $A", special_tokens=[("<bos>", tokenizer.bos_token_id)]
    )
    tokenizer.chat_template = "{{ bos_token }}" + tokenizer.chat_template
    (prompt,) = prompts(["Hi?"], tokenizer, None)
    assert prompt == "<|user|>Hi?\n<|assistant|>"
    ids = tokenizer(prompt)["input_ids"]
    assert ids.count(tokenizer.bos_token_id) == 1 and ids[0] == tokenizer.bos_token_id


def test_a_needed_column_that_is_missing_is_named(toy_rows: Any) -> None:
    need_columns(toy_rows, ["prompt", "solution"], "stages.x.data")
    with pytest.raises(StageError) as caught:
        need_columns(toy_rows, ["prompt", "languages"], "stages.x.data")
    assert str(caught.value) == (
        "stages.x.data: the rows have no column 'languages' (did you mean 'language'?); "
        "they have: prompt, solution, language; the source's columns say which is meant: "
        "columns: {languages: …}"
    )


def test_an_error_names_the_key_of_a_stages_benchmark_or_the_runs(tmp_path: Path) -> None:
    missing = {"aime": SourceConfig(path=str(tmp_path / "no.jsonl"))}
    for key, expected in (("stages.x", "stages.x.benchmarks.aime: "), ("", "benchmarks.aime: ")):
        with pytest.raises(StageError) as caught:
            load_data(missing, {}, load(), 1, key, "benchmarks")
        assert str(caught.value).startswith(expected)
