"""The verdicts of `accuracy` on labelled answers, and on what rows of data have for golds."""

import tomllib
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from r1trl_math.answers import choice, last_number
from r1trl_math.reward import accuracy, fast_path

from r1trl import UNDECIDED
from r1trl.rewards.texts import gold_text

LABELLED = tomllib.loads((Path(__file__).parents[2] / "benchmarks" / "labelled.toml").read_text())
ROWS = [row for kind in LABELLED["kind"] for row in kind["rows"]]


def check(completion, solution, expected, **options):
    assert accuracy.function(completion, solution, **options) == expected
    early = fast_path(completion, solution, **options)
    assert early is UNDECIDED or early == expected


@pytest.mark.parametrize("form", [r"\boxed{{{}}}", "<answer>{}</answer>"])
@pytest.mark.parametrize(("gold", "answer", "label"), ROWS)
def test_an_answer_is_compared_by_what_it_says_not_by_how_it_is_written(gold, answer, label, form):
    expected = None if label == "none" else float(label)
    check(form.format(answer), gold, expected, answer="tag_or_box")


THINKING = [
    (r"<think>so \boxed{37}", "", "boxed", 0.0),
    ("<think>so <answer>37</answer>", "", "answer_tag", 0.0),
    ("<think>it makes 37", "", "last_number", 0.0),
    ("<think>the answer is $37$", "", "latex_any", 0.0),
    (r"<think>so \boxed{37}", "", "tag_or_box", 0.0),
    (r"<think>a</think> no, <think>so \boxed{37}", "", "boxed", 0.0),
    (r"<think>a</think> no, <think>b</think> \boxed{37}", "", "boxed", 1.0),
    (r"so \boxed{37}", "Q <think>\n", "boxed", 0.0),
    (r"so it is</think> \boxed{37}", "Q <think>\n", "boxed", 1.0),
    (r"\boxed{37}", "Q", "boxed", 1.0),
    (r"\boxed{37}", [{"role": "user", "content": "Q <think>"}], "boxed", 1.0),
    ("It makes 37", "Q", "last_number", 1.0),
]


@pytest.mark.parametrize(("completion", "prompt", "source", "expected"), THINKING)
def test_thinking_that_has_not_ended_holds_no_answer(completion, prompt, source, expected):
    assert accuracy.function(completion, "37", prompt, answer=source) == expected
    early = fast_path(completion, "37", prompt, answer=source)
    assert early is UNDECIDED or early == expected


GOLDS = [
    (5e-05, "0.00005"),
    (1e-07, "0.0000001"),
    (1e16, "10000000000000000"),
    (1.5e300, "15" + "0" * 299),
    (42.0, "42"),
    (-0.5, "-0.5"),
    (0.1, "0.1"),
    (7, "7"),
    (10**30, "1" + "0" * 30),
    (np.float32(0.25), "0.25"),
    (np.int64(12), "12"),
    (np.float64(5e-05), "0.00005"),
    (Decimal("1E-7"), "0.0000001"),
    (Fraction(1, 3), "1/3"),
    (True, "True"),
    (float("inf"), r"\infty"),
    ("5e-05", "5e-05"),
    ("Nan", "Nan"),
    (float("nan"), None),
    (np.float64("nan"), None),
    ("NaN", None),
    ("nan", None),
    (None, None),
]


@pytest.mark.parametrize(("gold", "text"), GOLDS)
def test_a_gold_is_written_as_a_model_would_write_it(gold, text):
    assert gold_text(gold) == text
    expected = None if text is None else 1.0
    check(rf"\boxed{{{text}}}", gold, expected)


@pytest.mark.parametrize(
    ("gold", "expected"),
    [([None, 5e-05], 1.0), ([float("nan"), "7"], 0.0), ([float("nan"), None], None)],
)
def test_missing_golds_among_several_are_left_out(gold, expected):
    check(r"\boxed{0.00005}", gold, expected)


LAST_NUMBERS = [
    ("So it cools to −3 degrees", "-3"),
    ("from –5 to –7", "-7"),
    ("pages 3–5", "5"),
    ("10 - 5", "5"),
    ("so x = - 5", "- 5"),
    ("The balance is -$5", "-$5"),
    ("The balance is $-5.50.", "$-5.50"),
    ("The chance is .5", ".5"),
    ("The chance is 0.5.", "0.5"),
    ("The answer is 1.5e3", "1.5e3"),
    ("about 1.6×10⁻¹⁹", r"1.6\times 10^{-19}"),
    ("It needs 3 1/2 cups", "3 1/2"),
    ("It needs 3½ cups", "3 1/2"),
    (r"It is \frac{3}{4}.", r"\frac{3}{4}"),
    (r"It is 2\sqrt{3}", r"2\sqrt{3}"),
    (r"It is 5\pi cm", r"5\pi"),
    ("It is 2^5", "2^5"),
    ("It is 5!", "5!"),
    ("**Answer: 1,042**", "1,042"),
    ("It costs £1,234.56 in all", "£1,234.56"),
    ("共４２个", "42"),
    ("so x3 then 5-3", "3"),
    ("no digits", None),
]


@pytest.mark.parametrize(("text", "number"), LAST_NUMBERS)
def test_the_last_number_has_its_sign_and_all_of_its_digits(text, number):
    assert last_number(text) == number


WITHOUT = ["3", "5", "19", "4", "2"]


@pytest.mark.parametrize("text", [text for text, number in LAST_NUMBERS[9:15]])
def test_no_part_of_a_number_is_the_answer(text):
    assert not any(fast_path(text, gold, answer="last_number") == 1.0 for gold in WITHOUT)


CHOICES = [
    (r"With \boxed{\Delta E} small, level two is empty. **Answer: D**", "D"),
    (r"\boxed{x^2} so \boxed{C}", "C"),
    (r"\boxed{C}, since \boxed{\Delta E > 0}", "C"),
    (r"\boxed{$E$}", "E"),
    (r"\boxed{\(E\)}", "E"),
    (r"\boxed{**E**}", "E"),
    (r"\boxed{\textbf{(E)}}", "E"),
    (r"\boxed{Option E}", "E"),
    ("<answer>**(D)**</answer>", "D"),
    ("ANSWER: D", "D"),
    ("ANSWER IS D", "D"),
    (r"\boxed{A} and \boxed{B}", None),
    ("The correct answer is not B.", None),
    ("Final Answer: (D)", "D"),
    ("The correct option is D.", "D"),
    ("The best choice is (D)", "D"),
    ("Option D is correct, option C is wrong.", "D"),
    ("The answer is option D", "D"),
    (r"The answer is $\textbf{D}$", "D"),
    ("Answer - D", "D"),
    ("答案：D", "D"),
    ("故选Ｄ", "D"),
    ("Answer: A, because B is wrong", "A"),
    ("Answer: A, and I am sure", "A"),
    ("Answer: A, B, C or D", None),
    ("Answer: A or B", None),
    ("Answer: A and C", None),
    ("Answer: (A), (B)", None),
    (r"\boxed{A, B, C, D}", None),
    (r"\boxed{A or B} Answer: A", None),
    ("Answer: C. On reflection, answer: A/B", None),
    ("An answer", None),
]


@pytest.mark.parametrize(("text", "letter"), CHOICES)
def test_a_choice_is_one_option_that_is_stated(text, letter):
    assert choice(text) == letter


NOUNS = """
dollars eggs marbles students children men women feet inches pounds points pieces boxes tickets
games wins losses factors divisors roots multiples primes values ways angles units quarters
dimes nickels euros degrees minutes hours days years people pages cups gallons notes members
mars-bars decks minnows augers aprons sunflowers monkeys northerners evenings oddities leftovers
""".split()


@pytest.mark.parametrize("noun", NOUNS)
def test_a_number_of_things_is_the_number_and_no_number_of_others(noun):
    for answer in (f"18 {noun}", rf"18\text{{ {noun}}}", f"There are 18 {noun} in total."):
        check(f"<answer>{answer}</answer>", "18", 1.0, answer="answer_tag")
        check(f"<answer>{answer}</answer>", "19", 0.0, answer="answer_tag")
    check(f"<answer>18 {noun}</answer>", f"18 {noun}", 1.0, answer="answer_tag")
    if noun != "units":  # which names nothing
        check("<answer>18 zebras</answer>", f"18 {noun}", 0.0, answer="answer_tag")
