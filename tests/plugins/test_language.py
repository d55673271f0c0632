"""The reward `language_consistency` and the filter `one_language`."""

import time

import pytest
from datasets import Dataset
from r1trl_language.filters import in_language, one_language
from r1trl_language.reward import language_consistency
from r1trl_language.words import NOT_WORDS, counts, detect, shares, thinking


@pytest.mark.parametrize(
    ("text", "english", "chinese", "other"),
    [
        ("We add seven and five", 5, 0, 0),
        ("七加五等于十二", 0, 7, 0),
        ("七加 five", 1, 2, 0),
        ("don't it’s café", 3, 0, 0),
        ("设x为5, 则 y = 12.5%", 0, 3, 0),
        ("ひらがな 한국어 русский العربية", 0, 0, 4),
        ("日本のことば", 0, 2, 1),
        ("so $x = five$ and \\(six\\) or \\[seven\\] makes \\boxed{eight}", 4, 0, 0),
        ("\\boxed{\\frac{seven}{\\sqrt{two}}} yes", 1, 0, 0),
        ("use \\alpha then", 2, 0, 0),
        ("it costs $5 and then $6 more", 5, 0, 0),
        ("run `print(foo)` now\n```python\nimport os\n```\ndone", 3, 0, 0),
        ("see https://example.com/a/page?x=1 here", 2, 0, 0),
        ("参见https://example.com/页 了", 0, 4, 0),
        ("<think>one</think><answer>two</answer>", 2, 0, 0),
        ("12 + 3.5 = 15.5", 0, 0, 0),
        ("", 0, 0, 0),
    ],
)
def test_words_are_counted_by_script_and_all_else_is_no_word(text, english, chinese, other):
    found = counts(text)
    assert (found["en"], found["zh"], found["other"]) == (english, chinese, other)


def test_shares_add_up_and_are_empty_without_words():
    assert shares("one two 三四") == {"en": 0.5, "zh": 0.5, "other": 0.0}
    assert shares("1 + 1") == {}


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("What is it?", "en"),
        ("是多少？", "zh"),
        ("計算 mod 是多少", "zh"),
        ("что это", "other"),
        ("1+1", None),
    ],
)
def test_a_text_is_in_the_language_of_most_of_its_words(text, language):
    assert detect(text) == language


@pytest.mark.parametrize(
    ("prompt", "completion", "thought"),
    [
        ("Q", "<think>a</think>b", "a"),
        ("Q<think>\n", "a</think>b", "a"),
        ("Q", "a</think>b", "a"),
        ("Q", "<think>a", "a"),
        ("Q<think>", "a", "a"),
        ("Q", "a", "a"),
        ("Q", "x<think>a</think>b", "a"),
        ("Q", "<think></think><think>a</think>b", "</think><think>a"),
    ],
)
def test_the_thinking_is_found_whether_or_not_the_prompt_opens_it(prompt, completion, thought):
    assert thinking(prompt, completion).strip() == thought


CASES = [
    ("What is it?", "<think>it is two</think>二", {}, 1.0),
    ("是多少？", "<think>it is two</think>二", {}, 0.0),
    ("是多少？", "<think>二加二 four</think>four", {}, 0.75),
    ("是多少？<think>\n", "二加二 four</think>four", {}, 0.75),
    ("是多少？", "二加二 four", {}, 0.75),
    ("是多少？", "it is two", {"language": ["en"]}, 1.0),
    ("是多少？", "it is two", {"language": [None]}, 0.0),
    ("A long English template asks", "二加二", {"question": ["是多少？"]}, 1.0),
    ("A long English template asks", "二加二", {"question": [None]}, 0.0),
    ("What is it?", "это 二 it is", {}, 0.5),
    ("What is it?", "<think>1 + 1 = 2</think>two", {}, None),
    ("What is it?", "<think></think>two", {}, None),
    ("What is it?", "il y en a deux", {"language": ["fr"]}, None),
    ("1+1", "it is two", {}, None),
]


@pytest.mark.parametrize(("prompt", "completion", "columns", "expected"), CASES)
def test_the_reward_is_the_share_of_words_in_the_target_language(
    prompt, completion, columns, expected
):
    columns = {**columns, "solution": ["2"]}
    assert language_consistency([prompt], [completion], [[]], **columns) == [expected]


MARKS = ["`", "```", "$", "$$", "\\(", "\\[", "\\boxed{", "\\boxed{{", "http://", "a'", "$x", "{"]


@pytest.mark.parametrize("mark", MARKS)
def test_marks_that_never_close_cost_little(mark):
    start = time.perf_counter()
    NOT_WORDS.sub(" ", mark * (40_000 // len(mark)))
    assert time.perf_counter() - start < 5.0


ROWS = {
    "completion": [
        "<think>it is two</think>二",
        "<think>it is 二</think>two",
        "<think>二加二</think>two",
        "<think>$2+2$</think>two",
    ],
    "question": ["What is it?", "What is it?", "What is it?", "What is it?"],
}


def kept(rows: dict[str, list[str]], **options: object) -> list[int]:
    """Return the row numbers that `one_language` keeps."""
    verdicts = one_language(Dataset.from_dict(rows), **options)
    return [i for i, reason in enumerate(verdicts) if reason is None]


def test_the_filter_keeps_thinking_in_the_language_of_the_question():
    assert kept(ROWS) == [0, 3]


def test_the_filter_prefers_the_option_then_the_column_then_the_question():
    rows = {**ROWS, "language": ["zh", "zh", "zh", None]}
    assert kept(rows) == [2, 3]
    assert kept(rows, language="en") == [0, 3]


def test_the_filter_without_a_known_language_keeps_what_is_not_mixed():
    rows = {"text": ROWS["completion"]}
    assert len(kept(rows, column="text")) == 3
    assert len(kept(rows, column="text", min_consistency=0.5)) == 4


def test_texts_in_a_wanted_language_stay():
    rows = Dataset.from_dict(
        {"prompt": ["two and two", "二加二", "два и два", "x + 2", "so 二加二等"]}
    )
    english, chinese = "not in en", "not in zh"
    assert in_language(rows, languages=["en"]) == [None, english, english, None, english]
    assert in_language(rows, languages=["zh"]) == [chinese, None, chinese, None, None]
    assert in_language(rows, languages=["en", "zh"])[2] == "not in en or zh"
    with pytest.raises(ValueError, match="possible are: en, zh, other"):
        in_language(rows, languages=["de"])
