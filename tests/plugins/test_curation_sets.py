"""Filters that compare rows with each other, with benchmarks, and with a model's pass rates.

The last tests run every filter of any plugin on no rows, on one row and with a missing column.
"""

import json
import random
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from datasets import Dataset
from r1trl_curation.decontamination import BenchmarkIndex
from r1trl_curation.near_duplicates import band_count, jaccard, ngrams
from r1trl_curation.words import split_words

from r1trl.plugins.loading import load

FILTERS = {name: offer.target for name, offer in load().offers["filter"].items()}
Rows = dict[str, list[Any]]


def drop_reasons(name: str, rows: Rows, **options: Any) -> list[str | None]:
    """Return a filter's reasons to drop rows."""
    reasons: list[str | None] = FILTERS[name](Dataset.from_dict(rows), **options)
    return reasons


def kept(name: str, rows: Rows, **options: Any) -> list[int]:
    """Return the row numbers that a filter keeps."""
    return [i for i, reason in enumerate(drop_reasons(name, rows, **options)) if reason is None]


BENCHMARKS = {
    "algebra": Dataset.from_dict(
        {
            "prompt": [
                "Find all x so that a b c d e f g h",
                "What is two plus two?",
                "求所有的实数解",
            ]
        }
    ),
    "more": Dataset.from_dict({"prompt": ["one two three four five six seven eight nine ten"]}),
}


@pytest.mark.parametrize(
    ("prompt", "reason"),
    [
        ("First: find ALL x so\nthat a b c d e f and so on", "shares 10 words with algebra, row 0"),
        ("find all x so that a b c d f", None),
        (
            "Well, one two three four five six seven eight nine ten",
            "shares 10 words with more, row 0",
        ),
        ("one two three four five six seven eight nine", None),
        ("What is  two plus two?", "is the whole of algebra, row 1"),
        ("And what is two plus two?", None),
        ("求所有的实数解", "is the whole of algebra, row 2"),
        ("", None),
    ],
)
def test_a_benchmarks_question_is_dropped_and_its_row_is_named(
    prompt: str, reason: str | None
) -> None:
    assert drop_reasons("decontaminate", {"prompt": [prompt]}, benchmarks=BENCHMARKS) == [reason]


def test_chinese_is_compared_character_by_character() -> None:
    benchmarks = {"zh": Dataset.from_dict({"prompt": ["已知函数在实数域上连续可导求最大值"]})}
    rows = {"prompt": ["题：已知函数在实数域上连续，求最小值", "已知函数在实数域处处为零"]}
    assert drop_reasons("decontaminate", rows, benchmarks=benchmarks) == [
        "shares 10 words with zh, row 0",
        None,
    ]


@pytest.mark.parametrize("size", [2, 3, 5, 8, 9, 10, 13])
def test_looking_up_blocks_finds_the_same_as_comparing_every_ngram(size: int) -> None:
    rng = random.Random(size)

    def text(length: int) -> str:
        return " ".join(rng.choice("abc") for _ in range(length))

    prompts = [text(rng.randint(1, 3 * size)) for _ in range(6)]
    index = BenchmarkIndex({"b": Dataset.from_dict({"prompt": prompts})}, size)
    known = {
        tuple(p.split()[i : i + size]) for p in prompts for i in range(len(p.split()) - size + 1)
    }
    outcomes = set()
    for _ in range(1000):
        words = text(rng.randint(size, 4 * size)).split()
        overlaps = any(tuple(words[i : i + size]) in known for i in range(len(words) - size + 1))
        assert (index.reason(" ".join(words)) is not None) is overlaps
        outcomes.add(overlaps)
    assert len(outcomes) == 2 or size > 8


def test_questions_are_compared_and_not_the_instruction_that_follows_them() -> None:
    instruction = "Reason step by step, and put your final answer in a box, please."
    prompts = [f"1+1? {instruction}"]
    benchmarks = {"b": Dataset.from_dict({"prompt": prompts, "question": ["1+1?"]})}
    rows = {
        "prompt": [f"{q} {instruction}" for q in ("2+2?", "1+1?")],
        "question": ["2+2?", "1+1?"],
    }
    assert kept("decontaminate", rows, benchmarks=benchmarks) == [0]
    assert kept("deduplicate_near", rows) == [0, 1]
    assert kept("deduplicate_near", rows, column="prompt") == [0]


def test_messages_are_compared_by_the_last_one() -> None:
    messages = [
        {"role": "system", "content": "x"},
        {"role": "user", "content": "What is two plus two?"},
    ]
    assert kept("decontaminate", {"prompt": [messages]}, benchmarks=BENCHMARKS) == []


def test_without_benchmarks_there_is_nothing_to_compare_with() -> None:
    for nothing in (None, {}):
        with pytest.raises(ValueError, match="there are no benchmarks"):
            drop_reasons("decontaminate", {"prompt": ["x"]}, benchmarks=nothing)
    with pytest.raises(ValueError, match="ngram_size must be 2 words or more, not 1"):
        drop_reasons("decontaminate", {"prompt": ["x"]}, benchmarks=BENCHMARKS, ngram_size=1)


def varied(text: str, changes: int, rng: random.Random) -> str:
    """Return a text with some words changed."""
    words = text.split()
    for position in rng.sample(range(len(words)), changes):
        words[position] = f"w{rng.randrange(10**6)}"
    return " ".join(words)


def test_near_duplicates_are_those_above_the_threshold() -> None:
    rng = random.Random(5)
    texts, near, far = [], 0, 0
    for _ in range(300):
        text = " ".join(f"w{rng.randrange(5000)}" for _ in range(60))
        other = varied(text, rng.choice((1, 2, 4, 8)), rng)
        hashes = (frozenset(map(hash, ngrams(split_words(t), 3))) for t in (text, other))
        similarity = jaccard(*hashes)
        near, far = near + (similarity >= 0.8), far + (similarity < 0.8)
        texts += [text, other]
    rows = kept("deduplicate_near", {"prompt": texts})
    assert rows == sorted(rows) and len(texts) - near <= len(rows) <= len(texts) - 0.97 * near
    assert near > 100 and far > 100


def test_the_first_of_near_duplicates_stays_in_any_script() -> None:
    chinese = "小明有三个苹果小红给了他五个苹果请问小明现在一共有多少个苹果"
    english = "A train leaves the station at noon and travels at sixty miles per hour to the sea."
    rows = {
        "prompt": [chinese, english, chinese + "呢", english.upper(), "short", "Short", "brief"]
    }
    assert kept("deduplicate_near", rows) == [0, 1, 4, 6]
    assert kept("deduplicate_near", {"completion": ["x", "x"]}, column="completion") == [0]


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7, 0.8, 0.9, 1.0])
def test_bands_find_pairs_at_the_threshold(threshold: float) -> None:
    count = band_count(threshold)
    assert 1 - (1 - threshold ** (120 // count)) ** count >= 0.99


ROLLOUTS = {
    "prompt": ["a"] * 4 + ["b"] * 4 + ["c"] * 2 + ["d"] * 2,
    "completion": ["xx", "x", "xxx", "x"] * 3,
    "reward": [1.0, 3.0, 2.0, None] * 3,
    "rewards/accuracy": [1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, None, None, 0.0, None],
    "answer/accuracy": ["1", "1", "2", None, "5", "6", "7", "5", None, None, "3", "4"],
}


@pytest.mark.parametrize(
    ("options", "prompts"),
    [
        ({}, "abd"),
        ({"min_rate": 0.25}, "ab"),
        ({"max_rate": 0.9}, "bd"),
        ({"min_rate": 0.1, "max_rate": 0.9}, "b"),
        ({"min_rate": 1.0}, "a"),
    ],
)
def test_prompts_are_kept_by_how_often_they_are_solved(options: Any, prompts: str) -> None:
    rows = kept("pass_rate", ROLLOUTS, **options)
    assert "".join(sorted({ROLLOUTS["prompt"][i] for i in rows})) == prompts
    assert len(rows) == sum(ROLLOUTS["prompt"].count(p) for p in prompts), "whole groups"


def test_reasons_name_the_end_of_the_range_or_the_missing_value() -> None:
    reasons = drop_reasons("pass_rate", ROLLOUTS, min_rate=0.1, max_rate=0.9)
    assert Counter(reasons) == {
        None: 4,
        "pass rate over 0.9": 4,
        "no value of accuracy": 2,
        "pass rate under 0.1": 2,
    }


def test_difficulty_is_mixed_in_shares() -> None:
    rates = [0.0] * 10 + [0.5] * 6 + [1.0] * 20
    prompts = [f"p{i}" for i in range(len(rates)) for _ in range(2)]
    values = [float(k < 2 * rate) for rate in rates for k in range(2)]
    rows = {"prompt": prompts, "rewards/accuracy": values}
    kept_rows = kept("difficulty", rows, shares=[1, 3, 1])
    chosen = [rates[int(prompts[i][1:])] for i in kept_rows[::2]]
    assert Counter(chosen) == {0.0: 2, 0.5: 6, 1.0: 2}
    assert len(kept("difficulty", rows, shares=[0, 1, 0])) == 12
    assert kept("difficulty", rows, edges=[], shares=[5]) == list(range(72))


def test_majority_answer_keeps_the_commonest_answer_if_enough_have_it() -> None:
    assert kept("majority_answer", ROLLOUTS) == [0, 1, 4, 7, 10]
    assert kept("majority_answer", ROLLOUTS, min_share=0.6) == []
    assert set(drop_reasons("majority_answer", ROLLOUTS, min_share=0.5)) == {
        None,
        "not the commonest answer",
        "no answer",
    }


@pytest.mark.parametrize(
    ("keep", "expected"),
    [("first", [0, 1]), ("shortest", [1, 3]), ("longest", [0, 2]), ("best", [1, 2])],
)
def test_the_wanted_completions_of_each_prompt_are_kept(keep: str, expected: list[int]) -> None:
    rows = {name: values[:4] for name, values in ROLLOUTS.items()}
    assert kept("per_prompt", rows, count=2, keep=keep) == expected


def test_the_shortest_right_answer_of_each_prompt() -> None:
    rows = {"prompt": ["a", "a", "b", "b"], "completion": ["xx", "y", "zzz", "ww"]}
    assert kept("per_prompt", rows, keep="shortest") == [1, 3]


DOMAINS = {"domain": ["math"] * 10 + ["code"] * 4 + ["chat"] * 6}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"math": 4, "code": 4, "chat": 4}),
        ({"max_rows": 5}, {"math": 5, "code": 4, "chat": 5}),
        ({"counts": {"math": 2, "chat": 0}}, {"math": 2, "code": 4}),
    ],
)
def test_domains_are_balanced(options: Any, expected: dict[str, int]) -> None:
    rows = kept("balance", DOMAINS, **options)
    assert Counter(DOMAINS["domain"][i] for i in rows) == expected
    assert rows == kept("balance", DOMAINS, **options)


def test_rows_are_drawn_from_everywhere_when_domains_are_balanced() -> None:
    assert any(kept("balance", DOMAINS, seed=seed)[:4] != [0, 1, 2, 3] for seed in range(3))


def test_a_domain_that_no_row_has_is_named() -> None:
    with pytest.raises(
        ValueError, match=r"counts names \['maths'\], but column 'domain' has: chat"
    ):
        drop_reasons("balance", DOMAINS, counts={"maths": 1})


def test_lengths_come_from_the_column_or_from_a_tokenizer(tiny_model: Any) -> None:
    rows = {"completion": ["ab", "abcdef", "abcd"], "completion_tokens": [7, 8, 9]}
    assert kept("token_length", rows, min_tokens=8) == [1, 2]
    assert kept("token_length", rows, max_tokens=8) == [0, 1]
    assert kept("token_length", rows, min_tokens=3, max_tokens=5, tokenizer=str(tiny_model)) == [2]
    assert (
        kept(
            "token_length",
            {"prompt": ["abc"]},
            max_tokens=2,
            column="prompt",
            tokenizer=str(tiny_model),
        )
        == []
    )
    with pytest.raises(ValueError, match="tokenizer: must be given"):
        drop_reasons("token_length", {"prompt": ["abc"]}, max_tokens=2, column="prompt")
    with pytest.raises(ValueError, match="needs a bound: min_tokens or max_tokens"):
        drop_reasons("token_length", rows)


CLUTTERED = "# Plan\n- one\n- two\n| a | b |\n1. three\n**Bold:**\n> said\n---\nA sentence."
PROSE = "First we add.\nThen we take 3 - 2.\n\nSo 1.5 is it.\n- A list\nEnd.\nReally.\nYes."


def test_markdown_clutter_is_dropped_and_prose_is_kept() -> None:
    rows = {"completion": [CLUTTERED, PROSE, "- one\n- two", ""]}
    assert kept("no_markdown", rows) == [1, 2, 3]
    assert kept("no_markdown", rows, min_lines=2) == [1, 3]
    assert kept("no_markdown", rows, max_share=0.95) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Let α be 3, β = π, x ∈ ℝ, 𝑥² and naïve café", None),
        ("我们先算 x。", None),
        ("so it is ответ", "letters of other scripts: cyrillic"),
        ("答え is 안녕", "letters of other scripts: hangul, hiragana"),
        ("", None),
        ("12 + 3 = 15 → ✓", None),
    ],
)
def test_letters_of_other_scripts_are_found(text: str, reason: str | None) -> None:
    assert drop_reasons("allowed_scripts", {"completion": [text]}) == [reason]


def test_a_share_of_other_scripts_may_be_allowed() -> None:
    assert kept("allowed_scripts", {"completion": ["abcdefghi д"]}, max_share=0.1) == [0]
    assert kept("allowed_scripts", {"completion": ["abc д"]}, allowed=["latin", "Cyrillic"]) == [0]


JUDGE = {"model": "m", "url": "http://127.0.0.1:1/v1", "retries": 0}
NEEDS: dict[str, tuple[dict[str, Any], str | None]] = {  # the options given; the column needed
    "allowed_scripts": ({}, "completion"),
    "balance": ({}, "domain"),
    "correct": ({}, "rewards/accuracy"),
    "decontaminate": ({"benchmarks": BENCHMARKS}, "prompt"),
    "deduplicate": ({"columns": ["completion"]}, "completion"),
    "deduplicate_near": ({}, "prompt"),
    "difficulty": ({"shares": [0, 0, 1]}, "rewards/accuracy"),
    "finished": ({}, "finished"),
    "head": ({"count": 5}, None),
    "in_language": ({"languages": ["en"]}, "prompt"),
    "llm_judge": ({"judge": JUDGE}, "prompt"),
    "majority_answer": ({}, "answer/accuracy"),
    "no_code_blocks": ({}, "completion"),
    "no_markdown": ({}, "completion"),
    "one_language": ({}, "completion"),
    "pass_rate": ({}, "rewards/accuracy"),
    "per_prompt": ({}, "prompt"),
    "readable": ({}, "completion"),
    "short_paragraphs": ({}, "completion"),
    "token_length": ({"min_tokens": 1}, "completion_tokens"),
}
ROW = {
    "prompt": "What is it?",
    "completion": "<think>I think so.</think>Yes.",
    "completion_tokens": 9,
    "finished": True,
    "reward": 1.0,
    "rewards/accuracy": 1.0,
    "answer/accuracy": "Yes",
    "domain": "math",
}


class Ten(BaseHTTPRequestHandler):
    """A judge server that grades everything with 10."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        message = {"role": "assistant", "content": "Score: 10"}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        reply = {"id": "1", "object": "chat.completion", "choices": [choice]}
        self.wfile.write(json.dumps(reply).encode())

    def log_message(self, *arguments: Any) -> None:
        """Print nothing."""


@pytest.fixture
def judge() -> Iterator[dict[str, Any]]:
    """Yield the options of a local judge server."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Ten) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield {**JUDGE, "url": f"http://127.0.0.1:{server.server_address[1]}/v1"}
        server.shutdown()
        thread.join()


def test_the_column_of_every_filter_is_listed() -> None:
    assert sorted(NEEDS) == sorted(FILTERS)


@pytest.mark.parametrize("name", sorted(FILTERS))
def test_no_rows_give_no_reasons(name: str) -> None:
    rows = Dataset.from_dict({column: [] for column in ROW})
    assert FILTERS[name](rows, **NEEDS[name][0]) == []


@pytest.mark.parametrize("name", sorted(FILTERS))
def test_a_single_good_row_is_kept(name: str, judge: dict[str, Any]) -> None:
    options = {"judge": judge} if name == "llm_judge" else NEEDS[name][0]
    assert FILTERS[name](Dataset.from_list([ROW]), **options) == [None]


@pytest.mark.parametrize("name", sorted(FILTERS))
def test_rows_without_the_required_column_are_refused(name: str) -> None:
    options, column = NEEDS[name]
    others = sorted(set(ROW) - {column})
    rows = Dataset.from_list([{other: ROW[other] for other in others}])
    if column is None:
        assert FILTERS[name](Dataset.from_dict({"other": ["x"]}), **options) == [None]
        return
    message = f"the rows have no column '{column}'; there are: {', '.join(others)}$"
    with pytest.raises(ValueError, match=message):
        FILTERS[name](rows, **options)


@pytest.mark.parametrize("column", ["prompt", "rewards/accuracy", "completion"])
def test_filters_by_two_columns_name_whichever_is_missing(column: str) -> None:
    rows = Dataset.from_list([{name: ROW[name] for name in ROW if name != column}])
    names = {
        "prompt": ("majority_answer", "pass_rate", "difficulty", "deduplicate"),
        "rewards/accuracy": ("pass_rate", "difficulty"),
        "completion": ("deduplicate", "deduplicate_near"),
    }[column]
    more = {"deduplicate_near": {"column": column}, "deduplicate": {"columns": ["domain", column]}}
    for name in names:
        with pytest.raises(ValueError, match=f"the rows have no column '{column}'; there are: "):
            FILTERS[name](rows, **{**NEEDS[name][0], **more.get(name, {})})


def talk(*turns: str) -> list[dict[str, Any]]:
    """Return messages of the user and the assistant in turn, the assistant's with reasoning."""
    roles = ["user", "assistant"] * len(turns)
    return [{"role": r, "content": t} for r, t in zip(roles, turns, strict=False)]


CONVERSATIONS: Rows = {
    "messages": [
        talk("Hello", "Hi", "What is two plus two?", "4"),  # its second turn is a benchmark's
        talk("What is three plus four?", "7\n\n```python\nprint(7)\n```"),
        talk("What is three plus four?", "7\n\n```python\nprint(7)\n```"),
        [
            *({"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}),
            {"role": "assistant", "reasoning_content": "why", "content": None},
        ],
    ]
}


def test_conversations_are_compared_with_benchmarks_by_each_turn_of_the_user() -> None:
    reasons = drop_reasons("decontaminate", CONVERSATIONS, benchmarks=BENCHMARKS)
    assert reasons == ["is the whole of algebra, row 1", None, None, None]


def test_conversations_as_prompts_are_compared_by_each_turn_of_the_user_too() -> None:
    prompts = {"prompt": [each[:-1] for each in CONVERSATIONS["messages"]]}
    reasons = drop_reasons("decontaminate", prompts, benchmarks=BENCHMARKS)
    assert reasons == ["is the whole of algebra, row 1", None, None, None]


def test_where_a_mixture_has_no_question_the_prompt_is_one() -> None:
    rows = {"question": [None, "What is two?"], "prompt": ["What is two plus two?", "x"]}
    reasons = drop_reasons("decontaminate", rows, benchmarks=BENCHMARKS)
    assert reasons == ["is the whole of algebra, row 1", None]


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("deduplicate", {}, [0, 1, 3]),
        ("no_code_blocks", {}, [0, 3]),
        ("per_prompt", {}, [0, 1, 3]),
        ("short_paragraphs", {"max_chars": 2}, [0]),
    ],
)
def test_of_conversations_the_assistants_turns_are_the_completion(
    name: str, options: dict[str, Any], expected: list[int]
) -> None:
    assert kept(name, CONVERSATIONS, **options) == expected
