"""Rows in the shapes of GSM8K, MATH and GPQA, with right and wrong answers in surface forms."""

import random
from collections.abc import Callable, Iterator
from typing import Any

Case = tuple[str, str, dict[str, Any], bool]  # form, completion, columns, right
THOUGHT = "<think>First I take {}. Then I check it.</think>\n"

# Word problems: the unit of the answer, and the gold by four numbers a < b < c < d.
WORD_PROBLEMS: list[tuple[str, Callable[[int, int, int, int], int]]] = [
    ("dollars", lambda a, b, c, d: a * b + c),
    ("apples", lambda a, b, c, d: d - a),
    ("miles per hour", lambda a, b, c, d: c + d),
    ("square feet", lambda a, b, c, d: c * d),
    ("minutes", lambda a, b, c, d: a + b + c),
    ("percent", lambda a, b, c, d: 100 - a),
    ("eggs a day", lambda a, b, c, d: b * c - a),
    ("students", lambda a, b, c, d: 1000 + a * d),
    ("grams", lambda a, b, c, d: d * d),
    ("tickets in all", lambda a, b, c, d: (a + b) * c),
]
WORD_FORMS: dict[str, Callable[[int, str], str]] = {
    "box": lambda x, unit: rf"The answer is $\boxed{{{x}}}$.",
    "box with a unit": lambda x, unit: rf"\boxed{{{x} \text{{ {unit}}}}}",
    "box with words": lambda x, unit: rf"\boxed{{{x:,} {unit}}}",
    "tag": lambda x, unit: f"<answer>{x}</answer>",
    "tag with a unit": lambda x, unit: f"<answer>{x} {unit}</answer>",
    "tag with a sentence": lambda x, unit: f"<answer>So there are {x:,} {unit} now.</answer>",
    "tag in bold": lambda x, unit: f"<answer>**{x}**</answer>",
    "tag in Chinese": lambda x, unit: f"<answer>所以答案是{x}。</answer>",
    "full width": lambda x, unit: f"<answer>{str(x).translate(FULL)}</answer>",
    "decimals": lambda x, unit: rf"\boxed{{\${x:,}.00}}",
    "an equation": lambda x, unit: rf"\boxed{{{x - 3} + 3 = {x}}}",
}
HEDGES: dict[str, Callable[[int], str]] = {
    "two values": lambda x: rf"\boxed{{{x} or {x + 1}}}",
    "a denial": lambda x: f"<answer>It is not {x}</answer>",
    "a bound": lambda x: rf"\boxed{{\text{{at least }} {x}}}",
    "candidates": lambda x: f"<answer>one of {x - 1}, {x}, {x + 1}</answer>",
    "no answer": lambda x: f"I think that it is {x}",
    "in thinking": lambda x: rf"<think>So \boxed{{{x}}}, but wait",
}
FULL = str.maketrans("0123456789", "０１２３４５６７８９")


def gsm8k() -> Iterator[Case]:
    """Yield forty word problems with whole numbers as golds, the right answer and wrong ones."""
    rng = random.Random("gsm8k")
    for unit, gold in WORD_PROBLEMS * 4:
        numbers = sorted(rng.sample(range(4, 90), 4))
        right, thought = gold(*numbers), THOUGHT.format(numbers[0])
        for form, write in WORD_FORMS.items():
            for answer in (right, right + 1, numbers[0] + right, 10 * right):
                yield form, thought + write(answer, unit), {"solution": str(right)}, answer == right
        for form, hedge in HEDGES.items():
            opening = "" if form == "in thinking" else thought
            yield form, opening + hedge(right), {"solution": str(right)}, False


# A gold in LaTeX, three other writings of it, and two wrong answers near it.
EXPRESSIONS = [
    (r"\frac{3}{4}", ["0.75", "3/4", r"\dfrac{3}{4}"], [r"\frac{4}{3}", "0.7"]),
    (r"3\sqrt{13}", [r"3\sqrt{13}\text{ units}", r"\sqrt{117}", r"3√13"], [r"3\sqrt{11}", "3"]),
    (r"\frac{\pi}{4}", ["π/4", r"\tfrac{1}{4}\pi", r"0.25\pi"], [r"\frac{\pi}{2}", "0.25"]),
    (r"[-2,7)", ["[-2, 7)", r"\left[-2,7\right)", "［-2，7)"], ["[-2,7]", "(-2,7)"]),
    (r"x^2-5x+6", ["(x-2)(x-3)", "6-5x+x^2", "x^{2} - 5x + 6"], ["x^2+5x+6", "(x-2)(x+3)"]),
    (r"6-5i", ["-5i+6", "6 - 5i", "6−5i"], ["6+5i", "5-6i"]),
    (r"(3,-1)", ["(3, -1)", r"\left(3,-1\right)", "（3，−1）"], ["(-1,3)", "(3,1)"]),
    (r"\text{Evelyn}", ["Evelyn", r"\textbf{Evelyn}", "evelyn"], ["Carla", r"\text{Eve}"]),
    (r"2516_8", ["2516_{8}", r"2516_{\text{eight}}", "2516"], ["2517_8", "2516_9"]),
    (r"\frac{14}{3}", [r"4\frac{2}{3}", "4 2/3", r"4.\overline{6}"], [r"4\frac{3}{2}", "4.6"]),
    (
        r"\begin{pmatrix}1\\-2\end{pmatrix}",
        [
            r"\begin{pmatrix} 1 \\ -2 \end{pmatrix}",
            r"\begin{bmatrix}1\\-2\end{bmatrix}",
            r"\left(\begin{matrix}1\\-2\end{matrix}\right)",
        ],
        [r"\begin{pmatrix}-2\\1\end{pmatrix}", r"\begin{pmatrix}1\\2\end{pmatrix}"],
    ),
    (r"145^\circ", ["145", r"145\text{ degrees}", "145°"], [r"35^\circ", "14.5"]),
    (r"1,-2", ["-2, 1", r"1 \text{ and } -2", r"x=1 \text{ or } x=-2"], ["1, 2", "1"]),
    (r"\$32{,}348", ["32348", "32,348 dollars", r"\$32,348.00"], ["32,384", "3234.8"]),
    (r"10\%", ["10", "0.1", "10 percent"], ["1\\%", "0.01"]),
    (r"18\text{ square inches}", ["18", "18 in²", r"18\text{ in}^2"], ["18\\pi", "9"]),
    (r"1.2\times 10^{-4}", ["0.00012", "1.2e-4", "1.2×10⁻⁴"], [r"1.2\times 10^{4}", "0.0012"]),
    (r"y=2x+3", ["y = 2x + 3", "2x+3", "y=3+2x"], ["y=3x+2", "y=2x-3"]),
    (
        r"3\pm\sqrt{2}",
        [r"3+\sqrt2, 3-\sqrt2", "3±√2", r"3 \pm \sqrt{2}"],
        [r"3+\sqrt2", r"2\pm\sqrt3"],
    ),
    (r"2^{-98}", [r"\frac{1}{2^{98}}", r"2^{-98}", r"(1/2)^{98}"], ["2^{-99}", "0"]),
]
EXPRESSION_FORMS = {
    "box": r"The answer is $\boxed{{{}}}$.",
    "dollars in the box": r"\boxed{{${}$}}",
    "display": "\\[ \\boxed{{{}}} \\]",
    "tag": "<answer>{}</answer>",
    "dollars in the tag": "<answer>${}$</answer>",
    "a sentence in the tag": "<answer>The answer is ${}$.</answer>",
    "a box in the tag": r"<answer>\boxed{{{}}}</answer>",
}


def math() -> Iterator[Case]:
    """Yield forty rows with golds in LaTeX: each gold alone, and at the end of a solution."""
    for gold, right, wrong in EXPRESSIONS:
        for solution in (gold, rf"We find $x=1$. Hence it is $\boxed{{{gold}}}$."):
            for form, around in EXPRESSION_FORMS.items():
                for answer in (gold, *right, *wrong):
                    text = THOUGHT.format("the condition") + around.format(answer)
                    yield form, text, {"solution": solution}, answer not in wrong


CHOICE_FORMS = {
    "box": r"Hence \boxed{{{}}}.",
    "text in the box": r"$\boxed{{\text{{({})}}}}$",
    "dollars in the box": r"\boxed{{${}$}}",
    "a formula in another box": r"Since \boxed{{\Delta E > 0}}, the answer is {}.",
    "tag": "<answer>{}</answer>",
    "tag in bold": "<answer>**({})**</answer>",
    "stated": "Answer: {}",
    "in capitals": "ANSWER: {}",
    "in bold": "**Answer:** **{}**",
    "in a sentence": "So the correct answer is ({}), as shown.",
    "an option": "The correct option is {}.",
    "in Chinese": "所以答案是{}。",
}


def gpqa() -> Iterator[Case]:
    """Yield forty rows with an option letter as gold: the right letter, others, and several."""
    for row in range(40):
        gold = "ABCD"[row % 4]
        columns = {"solution": gold if row < 20 else f"({gold})", "question": f"question {row}"}
        for form, around in CHOICE_FORMS.items():
            for letter in "ABCD":
                text = THOUGHT.format(f"option {'ABCD'[row // 4 % 4]}") + around.format(letter)
                yield form, text, columns, letter == gold
        for several in ("Answer: A, B, C or D", f"Answer: {gold} or E", r"\boxed{A, B, C, D}"):
            yield "several options", several, columns, False
        yield "in thinking", f"<think>Answer: {gold}", columns, False
