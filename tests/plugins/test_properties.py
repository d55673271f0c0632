"""Properties for every text: rewards stay in their range, and score each completion alone."""

import math
from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from r1trl_format import reasoning_steps, tag_count, think_format
from r1trl_language import language_consistency
from r1trl_length import CosineLength, Repetition, SoftOverlong, group_length
from r1trl_math.reward import accuracy, fast_path

from r1trl import UNDECIDED

PROPERTY = settings(max_examples=100, deadline=None, derandomize=True, database=None)

FRAGMENTS = [
    *("<think>", "</think>", "<answer>", "</answer>", "\n", " ", "\x00", "\u200b", "\\", "$", "{"),
    *("}", "\\boxed{", "\\frac{1}{2}", "\\text{m}", "\\(", "\\[", "`", "```", "1", "-", "1,000"),
    *("Step 1:", "1. a", "- a", "First,", "so it is", "二加二", "что", "https://", "1/0", "^", "."),
    *("donc on ajoute", "ですから", "これ", "ABC", "cm", "x_1", "\\begin{align}", "\\end{align}"),
]
PIECES = st.one_of(st.sampled_from(FRAGMENTS), st.text(max_size=20))
LONG = st.builds(lambda piece, count: piece * count, PIECES, st.sampled_from([100, 3_000]))
TEXTS = st.one_of(
    st.text(), st.lists(PIECES, max_size=30).map("".join), st.lists(LONG, max_size=2).map("".join)
)
ROWS = st.tuples(
    st.sampled_from(["What is 2+2?", "是多少？", "Q <think>\n", ""]),
    TEXTS,
    st.lists(st.integers(0, 3), max_size=30),
    st.sampled_from([None, 0.0, 0.5, 1.0]),
)
PROFILES = ("think", "think_answer", "think_answer_lines", "boxed")

REWARDS = {
    **{f"think_format {p}": (think_format, {"profile": p}, 0.0, 1.0) for p in PROFILES},
    "think_format empty": (think_format, {"empty": True}, 0.0, 1.0),
    "tag_count": (tag_count, {}, 0.0, 1.0),
    "reasoning_steps": (reasoning_steps, {}, 0.0, 1.0),
    "language_consistency": (language_consistency, {}, 0.0, 1.0),
    "soft_overlong": (SoftOverlong(max_tokens=20, cache=9), {}, -1.0, 0.0),
    "cosine_length": (CosineLength(max_tokens=20), {}, -1.0, 1.0),
    "group_length": (group_length, {}, -0.5, 0.5),
    **{
        f"repetition {units}": (Repetition(n=2, max_penalty=-0.7, units=units), {}, -0.7, 0.0)
        for units in ("tokens", "words", "chinese_words")
    },
}


def score(name: str, rows: list[tuple]) -> list[float | None]:
    """Score rows of prompt, completion, token ids and the accuracy of the other reward."""
    reward, options, _, _ = REWARDS[name]
    prompts, completions, ids, correct = (list(c) for c in zip(*rows, strict=True))
    return reward(prompts, completions, ids, rewards={"accuracy": correct}, **options)


@pytest.mark.slow
@pytest.mark.parametrize("name", REWARDS)
@PROPERTY
@given(rows=st.lists(ROWS, min_size=1, max_size=5), data=st.data())
def test_any_text_gets_a_value_in_range_that_hangs_on_no_other_sample(name, rows, data):
    _, _, least, most = REWARDS[name]
    values = score(name, rows)
    assert all(v is None or (math.isfinite(v) and least <= v <= most) for v in values)
    order = data.draw(st.permutations(range(len(rows))))
    assert score(name, [rows[i] for i in order]) == [values[i] for i in order]
    group = rows[0][0] if name == "group_length" else None
    company = [i for i, row in enumerate(rows) if i == 0 or row[0] == group]
    assert score(name, [rows[i] for i in company]) == [values[i] for i in company]


NUMBERS = st.builds(Fraction, st.integers(-99_999, 99_999), st.sampled_from([1, 2, 4, 5, 3, 7, 9]))


def writings(number: Fraction) -> list[str]:
    r"""Return ways to write a number: as an integer, decimal, a/b, \frac, \dfrac."""
    top, bottom = number.numerator, number.denominator
    sign = "-" if top < 0 else ""
    fraction = f"{{{abs(top)}}}{{{bottom}}}"
    found = [rf"{sign}\frac{fraction}", rf"{sign}\dfrac{fraction}", f"{top}/{bottom}"]
    found.append(rf"\frac{{{top}}}{{{bottom}}}")
    if bottom == 1:
        found += [f"{top}", f"{top:,}", f"{top}.0", f"{top}.00"]
    elif bottom in (2, 4, 5):
        found += [f"{float(number):.2f}", f"{float(number):.4f}"]
    return found


def scored(answer: str, gold: str) -> list[float | None]:
    """Return the score of a scoring process, and that of the fast path if it decides."""
    completion = rf"<think>\boxed{{0.123}}</think>So \boxed{{{answer}}}."
    early = fast_path(completion, gold)
    return [accuracy.function(completion, gold), *([] if early is UNDECIDED else [early])]


SURROUNDINGS = ["{}", " {} ", "${}$", "$ {} $", r"{}\text{{ cm}}", "{}.", "x = {}", r"\({}\)"]


@pytest.mark.slow
@PROPERTY
@given(number=NUMBERS, data=st.data())
def test_equal_numbers_are_equal_however_they_are_written(number, data):
    gold = data.draw(st.sampled_from([*writings(number), rf"so $\boxed{{{number}}}$"]))
    answer = data.draw(st.sampled_from(writings(number)))
    around = data.draw(st.sampled_from(SURROUNDINGS))
    assume(not ("=" in around and "," in answer))  # "x = 1,000" is two values to math-verify
    assert set(scored(around.format(answer), gold)) == {1.0}


@pytest.mark.slow
@PROPERTY
@given(pair=st.tuples(NUMBERS, NUMBERS), data=st.data())
def test_different_numbers_are_never_equal(pair, data):
    gap, size = abs(pair[0] - pair[1]), max(map(abs, pair))
    if gap <= Fraction(1, 1000) or gap <= size / 1000:
        pair = (pair[0], pair[0] + 1 + abs(pair[0]))
    answer, gold = (data.draw(st.sampled_from(writings(number))) for number in pair)
    around = data.draw(st.sampled_from(SURROUNDINGS))
    assert set(scored(around.format(answer), gold)) == {0.0}


TAME = [fragment for fragment in FRAGMENTS if fragment != "^"]  # no power tower computes for hours
SHORT = st.lists(st.one_of(st.sampled_from(TAME), st.text("ab +=()。x", max_size=4)), max_size=9)


@pytest.mark.slow
@PROPERTY
@given(text=SHORT.map("".join), source=st.sampled_from(["boxed", "answer_tag", "latex_any"]))
def test_every_text_has_a_score_and_the_fast_path_agrees(text, source):
    wrapped = rf"{text}</think><answer>\boxed{{{text}}}</answer>"
    for completion in (text, wrapped):
        for gold in ("4", r"\frac{1}{2}", text):
            score = accuracy.function(completion, gold, answer=source)
            assert score in (None, 0.0, 1.0)
            assert fast_path(completion, gold, answer=source) in (UNDECIDED, score)
