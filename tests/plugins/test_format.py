"""The rewards of format: well-formed texts and steps, and near misses."""

import time

import pytest
from r1trl_format import reasoning_steps, tag_count, think_format

BLOCK = "<think>a</think><answer>b</answer>"
LINES = "<think>\na\n</think>\n<answer>\nb\n</answer>"

CASES = [
    ("Q", BLOCK, "think_answer", 1.0),
    ("Q", "<think>\na\n</think>\n<answer>\nb\n</answer>", "think_answer", 1.0),
    ("Q", f" \n{BLOCK}\n", "think_answer", 1.0),
    ("Q<think>", "a</think><answer>b</answer>", "think_answer", 1.0),
    ("Q<think>\n", "a</think><answer>b</answer>", "think_answer", 1.0),
    ("Q<think>\n", BLOCK, "think_answer", 0.0),
    ("Q", "a</think><answer>b</answer>", "think_answer", 0.0),
    ("Use <think> tags. Q", "a</think><answer>b</answer>", "think_answer", 0.0),
    ("Q", f"{BLOCK} and more", "think_answer", 0.0),
    ("Q", f"{BLOCK}\nand more", "think_answer", 0.0),
    ("Q", f"more {BLOCK}", "think_answer", 0.0),
    ("Q", f"Q again? {BLOCK}", "think_answer", 0.0),
    ("Q", f"{BLOCK}\n{BLOCK}", "think_answer", 0.0),
    ("Q", "<think>a</think>b<answer>c</answer>", "think_answer", 0.0),
    ("Q", "<think>a</think><answer>b</answer><answer>c</answer>", "think_answer", 0.0),
    ("Q", "<think>a<answer>x</answer></think><answer>b</answer>", "think_answer", 0.0),
    ("Q", "<think>a<answer></think>b</answer>", "think_answer", 0.0),
    ("Q", "<think>a<think>b</think><answer>c</answer>", "think_answer", 0.0),
    ("Q", "</think>a<think><answer>b</answer>", "think_answer", 0.0),
    ("Q", "<answer>b</answer><think>a</think>", "think_answer", 0.0),
    ("Q", "<think>a</think><answer> </answer>", "think_answer", 0.0),
    ("Q", "<think>a</think><answer>", "think_answer", 0.0),
    ("Q", "<think>a</think></answer>b<answer>", "think_answer", 0.0),
    ("Q", "<think> </think><answer>b</answer>", "think_answer", 0.0),
    ("Q", "<think>a</think>b", "think_answer", 0.0),
    ("Q", "", "think_answer", 0.0),
    ("Q", "<think>a</think>b", "think", 1.0),
    ("Q<think>", "a</think>b", "think", 1.0),
    ("Q", BLOCK, "think", 1.0),
    ("Q", "<think>a</think> ", "think", 0.0),
    ("Q", "<think>a", "think", 0.0),
    ("Q", "b", "think", 0.0),
    ("Q", "<think>a</think><think>a</think>b", "think", 0.0),
    ("Q", r"<think>a</think>So \boxed{2}.", "boxed", 1.0),
    ("Q", r"<think>\boxed{2}</think>So 2.", "boxed", 0.0),
    ("Q", r"<think>a</think>\boxed{ }", "boxed", 0.0),
    ("Q", r"<think>a</think>\boxed{{}}", "boxed", 0.0),
    ("Q", r"<think>a</think>\boxed{4", "boxed", 0.0),
    ("Q", r"<think>a</think>\boxed{\frac{1}{2}", "boxed", 0.0),
    ("Q", r"<think>a</think>\boxed{\{1, 2\}", "boxed", 0.0),
    ("Q", r"<think>a</think>\boxed{4\}", "boxed", 0.0),
    ("Q", r"<think>a</think>\boxed{\frac{1}{2}}", "boxed", 1.0),
    ("Q", r"<think>a</think>\boxed{\left\{1, 2\right.}", "boxed", 1.0),
    ("Q", r"<think>a</think>\boxed{\boxed{4}", "boxed", 1.0),
    ("Q", r"<think>a</think>} { \\{ \\boxed{a \\ b}", "boxed", 1.0),
    ("Q", LINES, "think_answer_lines", 1.0),
    ("Q", LINES.replace("\na", "\na\n\nc").replace("b", "b\n"), "think_answer_lines", 1.0),
    ("Q<think>", LINES.removeprefix("<think>"), "think_answer_lines", 1.0),
    ("Q<think>\n", LINES.removeprefix("<think>\n"), "think_answer_lines", 1.0),
    ("Q<think>\n", LINES, "think_answer_lines", 0.0),
    (" ", LINES, "think_answer_lines", 1.0),
    ("Q", BLOCK, "think_answer_lines", 0.0),
    ("Q", f"{LINES}\nand more", "think_answer_lines", 0.0),
    ("Q", f"{LINES}\n{LINES}", "think_answer_lines", 0.0),
    ("Q", f"{LINES}\n", "think_answer_lines", 0.0),
    ("Q", f"\n{LINES}", "think_answer_lines", 0.0),
    ("Q", LINES.replace("</think>\n", "</think>\n\n"), "think_answer_lines", 0.0),
    ("Q", LINES.replace("\n</think>", "</think>"), "think_answer_lines", 0.0),
    ("Q", LINES.replace("<answer>\n", "<answer>"), "think_answer_lines", 0.0),
    ("Q", LINES.replace("\n</answer>", "</answer>"), "think_answer_lines", 0.0),
    ("Q", LINES.replace("\na", "\n\n</think>\n<answer>\n"), "think_answer_lines", 0.0),
    ("Q", LINES.replace("\na", "\n "), "think_answer_lines", 0.0),
]


@pytest.mark.parametrize(("prompt", "completion", "profile", "expected"), CASES)
def test_only_the_exact_layout_is_well_formed(prompt, completion, profile, expected):
    assert think_format([prompt], [completion], [[]], profile=profile) == [expected]


def test_empty_thinking_is_well_formed_only_where_it_is_allowed():
    rows = (["Q"], ["<think></think><answer>b</answer>"], [[]])
    assert think_format(*rows) == [0.0]
    assert think_format(*rows, empty=True, solution=["b"]) == [1.0]


HOSTILE = [
    *(
        "<think>",
        "</think>",
        "<answer>",
        "</answer>",
        "\\boxed{",
        "{",
        "}",
        "<",
        BLOCK,
        LINES + "\n",
    ),
    *("Step 1", "Step 1 ", "\n1. ", "\n- ", ". First", "1", " ", "\n", ".\t", "# ", "**"),
]


@pytest.mark.parametrize("mark", HOSTILE)
def test_a_megabyte_of_one_mark_is_scored_fast(mark):
    rows = (["Q"] * 3, [mark * (1_000_000 // len(mark)), f"{mark} " * 100_000, ""], [[]] * 3)
    for profile in ("think", "think_answer", "think_answer_lines", "boxed"):
        start = time.process_time()
        assert think_format(*rows, profile=profile) == [0.0] * 3
        assert time.process_time() - start < 1.0
    for reward in (tag_count, reasoning_steps):
        start = time.process_time()
        reward(*rows)
        assert time.process_time() - start < 1.0


@pytest.mark.parametrize(
    ("prompt", "completion", "expected"),
    [
        ("Q", BLOCK, 1.0),
        ("Q", BLOCK * 2, 0.0),
        ("Q", "<think>a</think>b", 0.5),
        ("Q<think>", "a</think>b", 0.5),
        ("Q", "</answer></think>", 0.5),
        ("Q", "b", 0.0),
    ],
)
def test_each_tag_that_stands_once_earns_a_quarter(prompt, completion, expected):
    assert tag_count([prompt], [completion], [[]], solution=["b"]) == [expected]


STEPS = [
    ("", 0),
    ("We add two and two.", 0),
    ("Step 1: a\nStep 2: b", 2),
    ("Step 1: a\nStep 2: b\nStep 3: c\nStep 4: d", 4),
    ("  **Step 1:** a\n### Step 2: b", 2),
    ("<think>Step 1: a</think><answer>Step 2: b</answer>", 2),
    ("**Step 1**: a\n__Step 2__: b\n### **Step 3**: c\n***Step 4***: d\n_Step 5_: e", 5),
    ("Step 1. a\nStep 2) b\nStep 3 - c\nStep 4 – d\nStep 5 : e\nStep 6：f", 6),
    ("### Step 1\na\n**Step 2**\nb\n**Step 3.** c\nStep 4", 4),
    ("Step 1 gives 5\nStep 1.5 is none\nStep 2-3\nSteps 1: a\n**Step** 1: a", 0),
    ("1. **Step 1**: a\n- Step 2: b", 2),
    ("as in Step 1: a", 0),
    ("Step one: a", 0),
    ("1. a\n2. b", 2),
    ("a\n1) b\n  2) c", 2),
    ("1.5 is more than\n2.5", 0),
    ("it is 1. a", 0),
    ("- a\n* b", 2),
    ("a\n+ b\n\t• c", 2),
    ("---\n***\n**bold** a\n-3 and\n-x", 0),
    ("- \n-\n1. \n2.", 0),
    ("First, a. Second, b", 2),
    ("First, a.\nNext, b!  Finally, c", 3),
    ("at First, Next, Finally, a", 0),
    ("first, a. First a", 0),
    ("<think>First, a? Next, b", 2),
    ("1. First, a\n- Next, b", 2),
    ("Step 1: a\n2. b\n- c\nFinally, d", 4),
]


@pytest.mark.parametrize(("text", "marks"), STEPS)
def test_marks_of_steps_count_where_a_line_or_sentence_starts(text, marks):
    found = reasoning_steps(["Q"], [text], [[]], solution=["b"])
    assert found == pytest.approx([min(1.0, marks / 3)])
