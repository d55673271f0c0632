import pytest
import r1trl_curation
from datasets import Dataset

FILTERS = r1trl_curation.r1trl_filters()


def kept(name: str, rows: dict[str, list], **options: object) -> list:
    """Return the row numbers that a filter keeps."""
    numbered = Dataset.from_dict({**rows, "number": list(range(len(next(iter(rows.values())))))})
    reasons = FILTERS[name](numbered, **options)
    return [number for number, reason in enumerate(reasons) if reason is None]


def test_correct_keeps_values_from_the_bound_up_and_drops_missing_ones():
    rows = {"rewards/accuracy": [1.0, 0.0, None, 0.5, float("nan"), 2.0]}
    assert kept("correct", rows) == [0, 5]
    assert kept("correct", rows, min_value=0.5) == [0, 3, 5]


def test_correct_names_the_missing_column_and_the_ones_there_are():
    with pytest.raises(ValueError, match=r"'rewards/format'; there are: rewards/accuracy, number"):
        kept("correct", {"rewards/accuracy": [1.0]}, reward="format")


def test_finished_drops_completions_cut_at_the_length_limit():
    assert kept("finished", {"finished": [True, False, True]}) == [0, 2]


@pytest.mark.parametrize(
    ("text", "is_kept"),
    [
        ("a" * 10 + "\n" + "b" * 10, True),
        ("a" * 10 + "\n\n" + "b" * 11, False),
        ("   " + "a" * 10 + "   ", True),
        ("", True),
    ],
)
def test_a_paragraph_longer_than_allowed_is_dropped(text: str, is_kept: bool):
    assert bool(kept("short_paragraphs", {"completion": [text]}, max_chars=10) == [0]) is is_kept


def test_text_filters_read_the_given_column():
    rows = {"completion": ["fine", "fine"], "note": ["```python\n1\n```", "`x` is code, inline"]}
    assert kept("no_code_blocks", rows) == [0, 1]
    assert kept("no_code_blocks", rows, column="note") == [1]


READABLE = {
    "plain": "<think>Two and two make four.</think><answer>4</answer>",
    "no tags": "The answer is four.",
    "three times": "<think>" + "Let me check this once more.\n" * 3 + "</think>4",
    "short repeats": "<think>" + "Wait. So four.\n" * 9 + "Done.</think>4",
    "digits": "<think>One third.</think>0." + "3" * 200,
    "rule": "A\n" + "-" * 200,
    "tabs and newlines": "<think>a\tb\r\nc</think>d",
    "chinese": "<think>二加二等于四。</think><answer>四</answer>",
}
UNREADABLE = {
    "same line": "<think>" + "Let me check this once more.\n" * 4 + "</think>4",
    "same sentence": "<think>" + "Let me check this once more. " * 4 + "</think>4",
    "chinese sentence": "<think>"
    + "让我再仔细检查一遍这个问题的答案到底是不是正确的。" * 4
    + "</think>四",
    "word loop": "<think>So it is four, " + "wait " * 40 + "</think>4",
    "loop cut off": "The sum is " + "two plus two plus " * 20 + "two pl",
    "empty thinking": "<think> \n</think><answer>4</answer>",
    "replacement": "<think>caf\ufffd</think>4",
    "control": "<think>a\x00b</think>4",
    "never ended": "<think>Two and two",
    "never begun": "Two and two</think>4",
    "two ends": "<think>a</think></think>4",
    "crossed": "<think>a<answer></think>4</answer>",
    "answer left open": "<think>a</think><answer>4",
}


@pytest.mark.parametrize("name", READABLE)
def test_readable_texts_are_kept(name: str):
    assert kept("readable", {"completion": [READABLE[name]]}) == [0]


@pytest.mark.parametrize("name", UNREADABLE)
def test_unreadable_texts_are_dropped(name: str):
    assert kept("readable", {"completion": [UNREADABLE[name]]}) == []


def test_a_think_tag_that_the_prompt_ends_with_counts_as_the_texts_own():
    prompts = ["2+2? <think>\n", "2+2?", "2+2? <think>"]
    texts = ["Easy.</think>4", "Easy.</think>4", "</think>4"]
    assert kept("readable", {"prompt": prompts, "completion": texts}) == [0]


@pytest.mark.parametrize(
    ("size", "copies", "is_kept"),
    [(20, 4, False), (21, 3.95, True), (500, 4.5, False), (1000, 4, False), (1001, 4, True)],
)
def test_loops_of_20_to_1000_characters_are_found(size: int, copies: float, is_kept: bool):
    unit = "".join(chr(ord("a") + (i * i + i // 26) % 26) for i in range(size))
    text = "So: " + (unit * 5)[: int(size * copies)]
    assert bool(kept("readable", {"completion": [text]})) is is_kept


def test_readable_allows_the_given_number_of_repeats():
    assert kept("readable", {"completion": [UNREADABLE["same line"]]}, max_repeats=4) == [0]


def test_duplicates_differ_in_more_than_white_space():
    rows = {"prompt": ["a b", "a  b", "a b", "ab"], "completion": ["x", " x\n", "y", "x"]}
    assert kept("deduplicate", rows) == [0, 2, 3]
    assert kept("deduplicate", rows, columns=["completion"]) == [0, 2]


def test_texts_do_not_run_into_the_next_column_when_compared():
    rows = {"prompt": ["a", "a b"], "completion": ["b c", "c"]}
    assert kept("deduplicate", rows) == [0, 1]


def test_per_prompt_keeps_the_first_or_the_shortest_in_the_order_of_rows():
    rows = {"prompt": ["p", "q", "p", "p"], "completion": ["long", "q", "mid", "s"]}
    assert kept("per_prompt", rows) == [0, 1]
    assert kept("per_prompt", rows, keep="shortest") == [1, 3]
    assert kept("per_prompt", rows, keep="shortest", count=2) == [1, 2, 3]


@pytest.mark.parametrize(("count", "numbers"), [(0, []), (2, [0, 1]), (9, [0, 1, 2])])
def test_head_keeps_the_first_rows(count: int, numbers: list[int]):
    assert kept("head", {"prompt": ["a", "b", "c"]}, count=count) == numbers
