"""The reward `accuracy`: extraction of answers, and comparison with the gold."""

import itertools
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from latex2sympy2_extended import latex2sympy2
from latex2sympy2_extended.antlr_parser import PSParser
from r1trl_math.answers import last_boxed
from r1trl_math.expressions.compare import library, parse
from r1trl_math.expressions.values import differ
from r1trl_math.readings.notation import plain
from r1trl_math.reward import accuracy, fast_path

from r1trl.rewards.pool import Failure, Pool
from r1trl.rewards.verifier import UNDECIDED

SOLUTION = r"First $x=1$, so $\boxed{1}$ fails. Hence the area is $\boxed{\dfrac{3}{4}}$ exactly."

CASES = [
    (r"<answer>42</answer>", "42", "tag_or_box", 1.0),
    (r"so \boxed{42}", "42", "tag_or_box", 1.0),
    (r"\boxed{41} <answer>42</answer>", "42", "tag_or_box", 1.0),
    (r"<answer>41</answer> \boxed{42}", "42", "tag_or_box", 0.0),
    (r"<answer>\boxed{42}</answer>", "42", "tag_or_box", 1.0),
    ("42", "42", "tag_or_box", 0.0),
    (r"\boxed{42}", "42", "boxed", 1.0),
    (r"<think>a</think> The answer is \boxed{42}.", "42", "boxed", 1.0),
    (r"<think>\boxed{42}</think> The answer is 42.", "42", "boxed", 0.0),
    (r"<think>\boxed{42}</think>", "42", "boxed", 0.0),
    (r"reasoning (prefilled) \boxed{1}</think>\boxed{42}", "42", "boxed", 1.0),
    (r"\boxed{42}</think> no answer", "42", "boxed", 0.0),
    (r"</think>\boxed{42}</think>", "42", "boxed", 0.0),
    ("no answer", "42", "boxed", 0.0),
    ("", "42", "boxed", 0.0),
    (r"\boxed{}", "42", "boxed", 0.0),
    (r"\boxed{42", "42", "boxed", 0.0),
    (r"\boxed{1} \boxed{2} \boxed{42}", "42", "boxed", 1.0),
    (r"\boxed{42} \boxed{2} \boxed{1}", "42", "boxed", 0.0),
    (r"\boxed{1 or 2 or 42}", "42", "boxed", 0.0),
    (r"\boxed{1, 2, 42}", "42", "boxed", 0.0),
    (r"\boxed{\boxed{3}}", "3", "boxed", 1.0),
    (r"\boxed{\boxed{\boxed{3}}}", "3", "boxed", 1.0),
    (r"\boxed 3", "3", "boxed", 1.0),
    (r"\boxed{\frac{\sqrt{2}}{2}}", r"\frac{1}{\sqrt{2}}", "boxed", 1.0),
    (r"\boxed{$42$}", "42", "boxed", 1.0),
    (r"\boxed{\frac{1}{2}}", "0.5", "boxed", 1.0),
    (r"\boxed{\frac12}", "1/2", "boxed", 1.0),
    (r"\boxed{0.5}", r"\frac{1}{2}", "boxed", 1.0),
    (r"\boxed{0.333333}", "1/3", "boxed", 1.0),
    (r"\boxed{0.33}", "1/3", "boxed", 0.0),
    (r"\boxed{1,000}", "1000", "boxed", 1.0),
    (r"\boxed{1000}", "1,000", "boxed", 1.0),
    (r"\boxed{1{,}000}", "1000", "boxed", 1.0),
    (r"\boxed{50\%}", "50", "boxed", 1.0),
    (r"\boxed{50\%}", "50%", "boxed", 1.0),
    (r"\boxed{50}", r"50\%", "boxed", 1.0),
    (r"\boxed{5\%}", "50%", "boxed", 0.0),
    (r"\boxed{42.}", "42", "boxed", 1.0),
    (r"\boxed{\$42}", "42", "boxed", 1.0),
    (r"\boxed{42\text{ cm}}", "42", "boxed", 1.0),
    (r"\boxed{x = 42}", "42", "boxed", 1.0),
    (r"\boxed{\{2, 1\}}", r"\{1, 2\}", "boxed", 1.0),
    (r"\boxed{2, 1}", r"\{1, 2\}", "boxed", 1.0),
    (r"\boxed{\{1\}}", r"\{1, 2\}", "boxed", 0.0),
    (r"\boxed{[0, 1)}", "[0,1)", "boxed", 1.0),
    (r"\boxed{[0, 1]}", "[0,1)", "boxed", 0.0),
    (r"\boxed{(-\infty, 3]}", r"(-\infty,3]", "boxed", 1.0),
    (r"\boxed{(2,1)}", "(1,2)", "boxed", 0.0),
    (r"\boxed{x^2+2x+1}", "(x+1)^2", "boxed", 1.0),
    (r"\boxed{\text{Evelyn}}", "Evelyn", "boxed", 1.0),
    (r"\boxed{\frac{5}{0}}", "5", "boxed", 0.0),
    (r"\boxed{0.75}", SOLUTION, "boxed", 1.0),
    (r"\boxed{1}", SOLUTION, "boxed", 0.0),
    (r"\boxed{42}", "The answer is $42$.", "boxed", 1.0),
    (r"\boxed{42}", 42, "boxed", 1.0),
    (r"\boxed{42}", ["7", "42"], "boxed", 1.0),
    (r"\boxed{41}", ["7", "42"], "boxed", 0.0),
    (r"\boxed{42}", ["", "42"], "boxed", 1.0),
    (r"\boxed{42}", "", "boxed", None),
    ("no answer", "", "boxed", None),
    (r"\boxed{42}", None, "boxed", None),
    (r"\boxed{42}", [], "boxed", None),
    (r"\boxed{42}", r"\frac{", "boxed", None),
    (r"\boxed{42}", "Prove that there are infinitely many primes", "boxed", None),
    (r"\boxed{1}", "Any polynomial of degree 1 or 2 will do", "boxed", None),
    ("<think>a</think><answer>42</answer>", "42", "answer_tag", 1.0),
    ("<think>a</think><answer>$42$</answer>", "42", "answer_tag", 1.0),
    ("<think>a</think>\n<answer>\n42\n</answer>", "42", "answer_tag", 1.0),
    (r"<think>a</think><answer>So \boxed{42}</answer>", "42", "answer_tag", 1.0),
    ("<think>a</think><answer>The answer is 42.</answer>", "42", "answer_tag", 1.0),
    ("<answer>1</answer><answer>42</answer>", "42", "answer_tag", 1.0),
    ("<answer>42</answer><answer>1</answer>", "42", "answer_tag", 0.0),
    ("<answer>1 or 42</answer>", "42", "answer_tag", 0.0),
    ("<think><answer>42</answer></think>", "42", "answer_tag", 0.0),
    ("<answer>42", "42", "answer_tag", 0.0),
    ("42</answer>", "42", "answer_tag", 0.0),
    ("<answer></answer>", "42", "answer_tag", 0.0),
    (r"\boxed{42}", "42", "answer_tag", 0.0),
    ("7 apples and 35 more make 42.", "42", "last_number", 1.0),
    ("It is 1,042", "1042", "last_number", 1.0),
    ("from -3 to -42", "-42", "last_number", 1.0),
    ("so 5-3", "3", "last_number", 1.0),
    ("it is 3/4", "0.75", "last_number", 1.0),
    ("<think>42</think> none", "42", "last_number", 0.0),
    (r"</think>The answer is $\frac{84}{2}$.", "42", "latex_any", 1.0),
    ("</think>The answer is 42.", "42", "latex_any", 1.0),
    ("<think>$42$</think>I do not know.", "42", "latex_any", 0.0),
    ("</think>The answer is $41$.", "42", "latex_any", 0.0),
    (r"\boxed{B}", "B", "choice", 1.0),
    (r"\boxed{\text{(B)}}", "(B)", "choice", 1.0),
    (r"<answer> B. </answer>", r"\boxed{B}", "choice", 1.0),
    ("Answer: B", "B", "choice", 1.0),
    ("The answer is (B).", "B", "choice", 1.0),
    ("**Answer:** **C**", "B", "choice", 0.0),
    (r"\boxed{A, B, C, D}", "B", "choice", 0.0),
    (r"\boxed{A} \boxed{B}", "B", "choice", 1.0),
    ("<think>Answer: B</think>", "B", "choice", 0.0),
    ("Answer: Because", "B", "choice", 0.0),
    (r"\boxed{B}", "42", "choice", None),
    (r"\boxed{B}", ["A", "B"], "choice", 1.0),
    (r"\boxed{(B)}", "B", "choice", 1.0),
    (r"\boxed{[B]}", "B", "choice", 1.0),
    (r"\boxed{\textbf{(B)}}", "B", "choice", 1.0),
    (r"\boxed{\mathrm{B}}", r"\text{B}", "choice", 1.0),
    (r"\boxed{B)}", "B", "choice", 1.0),
    (r"\boxed{C}", "B", "choice", 0.0),
    (r"\boxed{J}", "J", "choice", 1.0),
    (r"\boxed{K}", "K", "choice", None),
    (r"\boxed{b}", "B", "choice", 1.0),
    (r"\boxed{B}", "(b)", "choice", 1.0),
    (r"\boxed{\text{B: 42}}", "B", "choice", 0.0),
    ("<answer>(B)</answer>", "B", "choice", 1.0),
    ("<answer>B: because</answer>", "B", "choice", 0.0),
    ("Answer: (B)", "B", "choice", 1.0),
    ("**Answer: B**", "B", "choice", 1.0),
    ("answer is B, since", "B", "choice", 1.0),
    ("Answer: b", "B", "choice", 0.0),
    ("The answer is a number.", "A", "choice", 0.0),
    ("Answer: A. No, answer: B", "B", "choice", 1.0),
    ("B", "B", "choice", 0.0),
    (r"<answer>A</answer> \boxed{B}", "B", "choice", 1.0),
    ("no answer", "B", "choice", 0.0),
    ("Answer: B", ["A", None, "B"], "choice", 1.0),
    ("Answer: B", ["", "42"], "choice", None),
]


@pytest.mark.parametrize(("completion", "solution", "source", "expected"), CASES)
def test_an_answer_is_extracted_from_its_source_and_compared(
    completion, solution, source, expected
):
    assert accuracy.function(completion, solution, answer=source) == expected
    early = fast_path(completion, solution, answer=source)
    assert early is UNDECIDED or early == expected


PLAIN = [
    "0",
    "-0",
    "7",
    "007",
    "-7",
    "42",
    "1000",
    "1,000",
    "12,345,678",
    "123456789012345",
    "0.5",
    "-0.5",
    "0.50",
    "7.0",
    "3.14",
    "0.1",
    "0.333333",
    "0.33",
    "0.000001",
    "0.000002",
    "0.125",
    "12345678.125",
    "1/2",
    "-1/2",
    "2/4",
    "14/2",
    "1/3",
    "1/8",
    "1/10",
    "-7/1",
    r"\frac{1}{2}",
    r"-\frac{1}{2}",
    r"\dfrac{-1}{2}",
    r"\frac{1}{3}",
    r"\tfrac{14}{2}",
    "6/4",
    r"-\frac{-1}{2}",
    "12345678.126",
    "1,0000",
    "1/0",
    "$7$",
    "$ -0.5 $",
    r"$\frac{1}{2}$",
    "$1,000$",
    "$7",
    "$$7$$",
]


def test_the_fast_path_agrees_with_math_verify():
    pairs = list(itertools.product(PLAIN, PLAIN))[::4]
    decided = 0
    for gold, answer in pairs:
        early = fast_path(rf"\boxed{{{answer}}}", gold)
        if early is not UNDECIDED:
            decided += 1
            assert early == accuracy.function(rf"\boxed{{{answer}}}", gold), (gold, answer)
    assert decided > 0.8 * len(pairs)


@pytest.mark.parametrize(("answer", "gold"), [("３", "3"), ("3", "３")])
def test_full_width_digits_are_digits(answer, gold):
    assert fast_path(rf"\boxed{{{answer}}}", gold) == 1.0


def test_a_number_in_a_worked_solution_is_settled_at_once():
    assert fast_path(r"\boxed{0.75}", SOLUTION) == 1.0
    assert fast_path(r"\boxed{1}", SOLUTION) == 0.0
    assert fast_path("no answer", SOLUTION) == 0.0


VALUES = [
    (r"\sqrt{2}", r"\sqrt{3}", True),
    (r"\sqrt{8}", r"2\sqrt{2}", False),
    (r"\frac{\pi}{2}", "1.570796", False),
    (r"\frac{\pi}{2}", r"\frac{\pi}{3}", True),
    ("(x+1)^2", "x^2+2x+1", False),
    ("(x+1)^2", "x^2+2x+2", True),
    ("x+1", "y+1", True),
    (r"\sqrt{x^2}", "x", False),
    (r"\ln(x^2)", r"2\ln x", False),
    ("10^{10}", "10^{10}+1", False),
    ("2^{-60}", "2^{-61}", False),
    ("2+3i", "2-3i", True),
    (r"\infty", "7", False),
    (r"\frac{1}{0}", "7", False),
    ("e", "E", False),
    ("abc", "x", False),
    (r"\text{Evelyn}", "x", False),
    ("[0,1)", "[0,2)", False),
    (r"\{1,2\}", r"\{1,3\}", False),
    (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix}1\\3\end{pmatrix}", False),
    ("y=2x", "y=3x", True),
    ("y=2x", "y=x+x", False),
    ("y=2x", "z=3x", False),
    ("y=2y", "y=3y", False),
    ("x=42", "43", False),
    ("f(x)", "f(y)", False),
]


@pytest.mark.parametrize(("left", "right", "expected"), VALUES)
def test_only_expressions_with_different_values_are_refuted(left, right, expected):
    first, second = parse(plain(left))[0], parse(plain(right))[0]
    assert differ(first, second) is expected
    assert not (expected and library().verify(first, second, timeout_seconds=None))


GRAMMAR = [
    r"\frac{\sqrt{2}}{2}",
    "x^2+2x+1",
    "[0,1)",
    r"(-\infty,3]\cup[5,\infty)",
    r"\{1,2\}",
    "(2,1)",
    "1,2;3",
    "y=2x+3",
    "1<x<2",
    r"x\in\{1,2\}",
    r"\log_2 5",
    r"\sum_{k=1}^{3} k",
    r"\begin{pmatrix}1&2\\3&4\end{pmatrix}",
    r"\frac{",
    "((",
    "5 @ 3",
    "2 ~ 3",
]


@pytest.mark.parametrize("latex", GRAMMAR)
def test_two_stages_of_the_grammar_read_what_one_reads(latex, monkeypatch):
    library()
    two_stages = reading(latex)
    assert latex2sympy2.PSParser is not PSParser
    monkeypatch.setattr(latex2sympy2, "PSParser", PSParser)
    assert two_stages == reading(latex)


def reading(latex):
    try:
        return latex2sympy2.latex2sympy(latex, is_real=True, normalization_config=None)
    except Exception as error:  # noqa: BLE001 - the reader raises no narrower one
        return type(error)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize(("instances", "least"), [("3", 1000)])
def test_verdicts_equal_those_of_math_verify_but_for_the_listed_ones(instances, least):
    script = Path(__file__).parents[2] / "benchmarks" / "verdicts.py"
    done = subprocess.run([sys.executable, script, instances], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    pairs = int(re.search(r"verdicts: (\d+) pairs", done.stdout).group(1))
    assert pairs >= least


@pytest.mark.parametrize("answer", [r"x^2", r"\pi", "x=5"])
def test_what_is_not_plain_is_left_to_math_verify(answer):
    assert fast_path(rf"\boxed{{{answer}}}", "42") is UNDECIDED
    assert fast_path(r"\boxed{42}", answer) is UNDECIDED


HOSTILE = [
    *(mark * 20_000 for mark in (r"\boxed{", "<answer>", "</answer><answer>", "$1", "(", "1,")),
    r"\boxed{" + "{}" * 20_000,
    "Answer" + " " * 40_000,
    r"\boxed" + " " * 40_000,
    r"\boxed{\text{" + " " * 40_000 + "}}",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_extraction_from_a_hostile_text_is_fast(text):
    start = time.process_time()
    for source in ("boxed", "answer_tag", "last_number", "choice", "latex_any"):
        fast_path(text, "42", answer=source)
    assert time.process_time() - start < 2.0


def test_escaped_braces_do_not_close_a_box():
    assert last_boxed(r"\boxed{\left\{1,2\right. } rest") == r"\left\{1,2\right."


def test_one_hanging_answer_times_out_and_its_neighbours_score():
    pool = Pool(1, deadline=1.0)
    completions = [r"\boxed{x+1}", r"\boxed{7^{10^{9}}}", r"\boxed{1+x}", r"\boxed{x}"]
    rows = {"completion": completions, "solution": ["x+1", "42", "x+1", "x+1"]}
    try:
        first, hanging, third, fourth = accuracy.score(rows, {"answer": "boxed"}, pool)
    finally:
        pool.close()
    assert isinstance(hanging, Failure) and hanging.kind == "timeout"
    assert [first, third, fourth] == [1.0, 1.0, 0.0]


def test_importing_the_plugin_imports_nothing_heavy():
    heavy = "{'torch', 'math_verify', 'sympy', 'datasets', 'jieba', 'transformers'}"
    code = (
        f"import sys, r1trl_math, r1trl_format, r1trl_language; print({heavy} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
