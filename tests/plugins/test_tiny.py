"""The tiny world: nothing leaks from the benchmark, everything is the same for a seed."""

import random
from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import r1trl_tiny
from r1trl_tiny.datasets import tiny_chat, tiny_pairs, tiny_problems, tiny_safety
from r1trl_tiny.guarded import VARIANTS, tiny_phrasings, tiny_requests
from r1trl_tiny.numerals import chinese, english
from r1trl_tiny.problems import (
    QUESTIONS,
    TRAINED,
    Problem,
    phrased,
    problems,
    question,
    random_problem,
)
from tiny_corpus import documents

MODELS = sorted((Path(r1trl_tiny.__file__).parent / "models").iterdir())
NUMERALS = [
    (0, "zero", "零"),
    (1, "one", "一"),
    (9, "nine", "九"),
    (10, "ten", "十"),
    (11, "eleven", "十一"),
    (12, "twelve", "十二"),
    (13, "thirteen", "十三"),
    (15, "fifteen", "十五"),
    (19, "nineteen", "十九"),
    (20, "twenty", "二十"),
    (21, "twenty one", "二十一"),
    (30, "thirty", "三十"),
    (40, "forty", "四十"),
    (48, "forty eight", "四十八"),
    (50, "fifty", "五十"),
    (67, "sixty seven", "六十七"),
    (70, "seventy", "七十"),
    (80, "eighty", "八十"),
    (90, "ninety", "九十"),
    (99, "ninety nine", "九十九"),
]


@pytest.mark.parametrize(("number", "in_english", "in_chinese"), NUMERALS)
def test_numbers_are_written_in_both_languages(
    number: int, in_english: str, in_chinese: str
) -> None:
    assert (english(number), chinese(number)) == (in_english, in_chinese)


def test_no_two_numbers_are_written_alike() -> None:
    for write in (english, chinese):
        assert len({write(number) for number in range(100)}) == 100


def test_a_problem_is_worked_from_left_to_right_and_stays_in_bounds() -> None:
    rng = random.Random(0)
    for _ in range(3000):
        problem = random_problem(rng)
        assert eval(problem.key) == problem.answer
        assert all(0 <= total <= 99 for total in problem.totals)
        assert 1 <= len(problem.steps) <= 3


def test_training_and_held_out_problems_share_none() -> None:
    training = {p.key for seed in (0, 1, 2) for p in islice(problems(seed, held_out=False), 3000)}
    held_out = {p.key for seed in (0, 1, 2) for p in islice(problems(seed, held_out=True), 1000)}
    assert len(training) > 3000 and len(held_out) > 1000
    assert not training & held_out


def test_the_corpus_has_no_held_out_problem() -> None:
    """Also not among worked examples and the turns before; longer problems may contain it."""
    corpus = [document.text for document in islice(documents(0), 8_000)]
    asked = "\n".join(corpus).lower()

    def occurs(problem: Problem) -> bool:
        return any(
            phrased(text, problem, language).lower() in asked
            for language, texts in QUESTIONS.items()
            for text in texts
            if not text.startswith("{}")
        )

    assert not any(map(occurs, islice(problems(0, held_out=True), 80)))
    assert sum(map(occurs, islice(problems(0, held_out=False), 80))) > 3


def test_the_datasets_of_problems_share_none_with_the_benchmark() -> None:
    training = {
        key for seed in (0, 1, 2) for key in tiny_problems(count=2000, seed=seed)["problem_key"]
    }
    benchmark = set(tiny_problems(count=1000, seed=0, held_out=True)["problem_key"])
    assert len(benchmark) == 1000 and not training & benchmark


def test_a_problem_comes_in_either_language_with_its_solution() -> None:
    rows = tiny_problems(count=400, seed=3)
    for row in rows:
        assert str(eval(row["problem_key"])) == row["solution"]
        assert any("一" <= c <= "鿿" for c in row["prompt"]) is (row["language"] == "zh")
    assert 120 < rows["language"][:].count("zh") < 280


MAKERS: list[Any] = [tiny_problems, tiny_chat, tiny_pairs, tiny_safety]


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_a_dataset_is_the_same_for_a_seed_and_another_for_another(make: Any) -> None:
    first, second, other = (make(count=60, seed=seed).to_list() for seed in (4, 4, 5))
    assert len(first) == 60 and first == second != other


@pytest.mark.parametrize("make", [tiny_phrasings, tiny_requests], ids=lambda m: m.__name__)
def test_rows_for_guards_are_the_same_for_a_seed_and_another_for_another(make: Any) -> None:
    first, second, other = (make(count=20, seed=seed).to_list() for seed in (4, 4, 5))
    assert first == second != other


def test_a_held_out_problem_is_asked_in_six_ways_in_one_language() -> None:
    rows = tiny_phrasings(count=20).to_list()
    assert len(rows) == 20 * len(VARIANTS) and len({row["question"] for row in rows}) == 20
    for i, row in enumerate(rows):
        assert row["variant"] == VARIANTS[i % 6]
        same = rows[i - i % 6]
        assert all(row[name] == same[name] for name in ("question", "solution", "language"))
        assert (row["prompt"] == same["prompt"]) is (row is same), row["variant"]
        assert row["prompt"][-1]["role"] == "user"


def test_half_of_the_requests_only_look_unsafe() -> None:
    rows = tiny_requests().to_list()
    assert Counter(row["request"] for row in rows) == {"safe": 48, "unsafe": 48}
    assert len({row["prompt"] for row in rows}) == 96
    assert len(tiny_requests(count=7)) == 7


def test_a_larger_dataset_begins_with_the_smaller_one() -> None:
    assert (
        tiny_problems(count=50, seed=1).to_list()[:20] == tiny_problems(count=20, seed=1).to_list()
    )


@pytest.mark.parametrize("domain", ["helpful", "safety"])
def test_small_talk_and_dangers_can_be_had_alone(domain: str) -> None:
    assert set(tiny_chat(count=50, domain=domain)["domain"]) == {domain}  # type: ignore[arg-type]


def test_the_runs_seed_changes_the_problems_and_not_the_benchmark(composed: Any) -> None:
    from r1trl.data.sources import load_source

    run = composed("recipe=zero", "scale=tiny")

    def rows(source: Any, seed: int) -> Any:
        source = replace(source, options={**source.options, "count": 50})
        return load_source(source, run.plugins, seed, "x").to_list()

    benchmark, training = run.config.benchmarks["held_out"], run.config.sources["problems"]
    assert rows(benchmark, 1) == rows(benchmark, 2)
    assert rows(training, 1) != rows(training, 2)


def test_a_question_is_a_pure_function_of_its_random_numbers() -> None:
    problem = random_problem(random.Random(1))
    for phrasings, part in (("trained", slice(TRAINED)), ("unseen", slice(TRAINED, None))):
        texts = {question(problem, "en", random.Random(seed), phrasings) for seed in range(200)}
        assert texts == {phrased(text, problem, "en") for text in QUESTIONS["en"][part]}


def test_no_training_set_has_what_the_benchmarks_of_requests_ask() -> None:
    training = {row["prompt"] for seed in (0, 1) for row in tiny_chat(count=500, seed=seed)}
    held_out = {row["prompt"] for row in tiny_chat(count=500, held_out=True)}
    assert len(training) > 40 and len(held_out) > 10 and not training & held_out


@pytest.mark.parametrize("folder", MODELS, ids=lambda folder: folder.name)
def test_a_shipped_tokenizer_round_trips_the_corpus(folder: Path) -> None:
    from tokenizers import Tokenizer
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    plain = Tokenizer.from_file(str(folder / "tokenizer.json"))
    texts = [document.text for document in islice(documents(7), 2000)]
    ids = tokenizer(texts)["input_ids"]
    assert [encoded.ids for encoded in plain.encode_batch(texts)] == ids
    assert tokenizer.batch_decode(ids) == texts
    assert tokenizer.unk_token_id is None or all(tokenizer.unk_token_id not in row for row in ids)
    assert tokenizer.eos_token_id is not None and tokenizer.chat_template


@pytest.mark.parametrize("folder", MODELS, ids=lambda folder: folder.name)
def test_a_shipped_model_loads_and_predicts_its_corpus_better_than_noise(folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype="float32").eval()
    embeddings, losses = model.get_input_embeddings().weight.shape[0], []
    with torch.inference_mode():
        for document in islice(documents(7), 16):
            ids = tokenizer(document.text, return_tensors="pt")["input_ids"]
            assert int(ids.max()) < embeddings
            losses.append(model(input_ids=ids, labels=ids).loss.item())
    assert sum(losses) / len(losses) < 2.5, "a uniform guess is worth about 6"
