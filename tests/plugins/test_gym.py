import json
import sys
from collections import deque
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest
import r1trl_gym
from machine import require
from r1trl_gym import entries
from r1trl_gym.answer import extract_answer

from r1trl.rewards.pool import Pool

require("reasoning_gym", find_spec("reasoning_gym"))

dataset = r1trl_gym.r1trl_datasets()["reasoning_gym"]
reward = r1trl_gym.r1trl_rewards()["reasoning_gym"]


def scores(rows, completions: list[str], **options: str) -> list[float | None]:
    columns = {"entry": rows["entry"][: len(completions)], **options}
    return reward(rows["prompt"][:], completions, [[]] * len(completions), **columns)


def test_problems_are_the_same_for_the_same_seed():
    first = dataset(task="chain_sum", count=3, seed=7)
    assert first.column_names == ["prompt", "solution", "task", "entry"]
    assert first[:] == dataset(task="chain_sum", count=3, seed=7)[:]
    assert first["prompt"][:] != dataset(task="chain_sum", count=3, seed=8)["prompt"][:]
    assert first["task"][:] == ["chain_sum"] * 3
    assert json.loads(first["entry"][0])["answer"] == first["solution"][0]


def test_a_tasks_own_settings_reach_it():
    rows = dataset(task="chain_sum", count=5, config={"min_terms": 6, "max_terms": 6})
    assert all(json.loads(entry)["metadata"]["num_terms"] == 6 for entry in rows["entry"])


def test_an_unknown_task_is_answered_with_close_ones():
    with pytest.raises(ValueError, match=r"no task 'chain_sums' \(did you mean chain_sum"):
        dataset(task="chain_sums")


def test_the_tasks_own_scorer_decides_in_a_scoring_process():
    rows = dataset(task="chain_sum", count=4)
    gold = rows["solution"][:]
    texts = [f"<think>7?</think><answer> {answer}\n</answer>" for answer in gold]
    assert scores(rows, texts) == [1.0] * 4
    wrong = ["<think>7</think><answer>no idea</answer>", gold[1], "<think><answer>1</answer>", ""]
    assert scores(rows, wrong) == [0.0] * 4
    assert scores(rows, [f"So \\boxed{{{gold[0]}}}."], answer="boxed") == [1.0]


@pytest.mark.parametrize(
    "task", ["arc_agi", "countdown", "knights_knaves", "sudoku", "basic_arithmetic"]
)
def test_a_tasks_own_answer_scores_one_after_the_way_through_json(task: str):
    rows = dataset(task=task, count=1)
    text = f"<answer>{rows['solution'][0]}</answer>"
    assert reward.function(text, rows["entry"][0]) == 1.0


def carried_boxes(problem: dict[str, Any]) -> str:
    """Return moves that carry each box square by square along its row or column to its target."""
    places = {
        item: at.split("_") for at, items in problem["initial_state"].items() for item in items
    }
    steps = []
    for item, (row, column) in places.items():
        if not item.startswith("box_"):
            continue
        at, target = [float(row), float(column)], item.replace("box_", "target_")
        for axis, goal in enumerate(map(float, places[target])):
            while at[axis] != goal:
                agent = f"Agent{at}"
                at[axis] += 1 if at[axis] < goal else -1
                steps.append({agent: f"move({item}, square{at})"})
        steps.append({f"Agent{at}": f"move({item}, {target})"})
    return json.dumps(steps)


def one_step(board: str) -> Iterator[tuple[str, str]]:
    """Yield every move of one car by one square on a 6 by 6 board, and the board after it."""
    for car in sorted(set(board) - set(".x")):
        cells = [i for i, sign in enumerate(board) if sign == car]
        stride = cells[1] - cells[0]
        for sign, here, target in (
            ("-", cells[-1], cells[0] - stride),
            ("+", cells[0], cells[-1] + stride),
        ):
            same_row = target // 6 == cells[0] // 6 if stride == 1 else True
            if 0 <= target < 36 and same_row and board[target] == ".":
                squares = list(board)
                squares[here], squares[target] = ".", car
                yield f"{car}{sign}1", "".join(squares)


def exit_moves(problem: dict[str, Any]) -> str:
    """Search breadth-first for the moves of the car AA to the right of the third row.

    The board is the question's: the one in the entry has other letters for the cars.
    """
    board = problem["question"].partition("Board:\n")[2].replace("\n", "")
    previous: dict[str, tuple[str, str]] = {board: ("", "")}
    queue = deque([board])
    while board[16:18] != "AA":
        board = queue.popleft()
        for move, after in one_step(board):
            if after not in previous:
                previous[after] = (board, move)
                queue.append(after)
    path = []
    while previous[board][0]:
        board, move = previous[board]
        path.append(move)
    return " ".join(reversed(path))


GOLDS = {  # tasks with many answers that give none: a right one, made from the entry
    "boxnet": carried_boxes,
    "graph_color": lambda problem: json.dumps(problem["possible_answer"]),
    "propositional_logic": lambda problem: " ∧ ".join(f"({one})" for one in problem["premises"]),
    "rubiks_cube": lambda problem: problem["example_correct_answer"],
    "rush_hour": exit_moves,
}
CONFIGS = {  # the one task without a default configuration: a mixture of others
    "composite": {
        "datasets": [
            {"name": name, "weight": 1.0, "config": {}} for name in ("chain_sum", "rubiks_cube")
        ]
    }
}


def gold(row: dict[str, Any]) -> str:
    """Return the answer of an entry, or a generated one if it gives none."""
    problem = entries.loads(row["entry"])["metadata"] | {"question": row["prompt"]}
    return GOLDS[row["task"]](problem) if row["task"] in GOLDS else row["solution"]


@pytest.mark.slow
@pytest.mark.long
def test_every_tasks_right_answers_score_one_in_the_scoring_processes():
    from reasoning_gym.factory import DATASETS

    tasks = sorted(DATASETS)
    pool, short = Pool(2, deadline=10.0), {}
    for task in tasks:
        rows = dataset(task=task, count=3, config=CONFIGS.get(task)).to_list()
        texts = [f"<think>x</think><answer>{gold(row)}</answer>" for row in rows]
        columns = {"completion": texts, "entry": [row["entry"] for row in rows]}
        found = reward.score(columns, {}, pool)
        if found != [1.0] * 3:
            short[task] = found
    pool.close()
    assert short == {}
    assert len(tasks) >= 106


def test_a_task_that_names_no_answer_has_an_empty_solution():
    assert dataset(task="graph_color", count=2)["solution"][:] == ["", ""]


def test_a_mixture_names_the_task_of_each_row():
    rows = dataset(task="composite", count=20, config=CONFIGS["composite"])
    assert set(rows["task"]) == {"chain_sum", "rubiks_cube"}


def test_an_entry_comes_back_from_json_as_it_was():
    entry = {"a": ((1, 2), [3, (4,)]), "b": {1: "x", (2, 3): {"y": ()}}, "c": "三"}
    assert entries.loads(entries.dumps(entry)) == entry


FOUND = [
    ("<answer>1</answer> or <answer>2</answer>", "answer_tag", "2"),
    ("<think><answer>1</answer></think>", "answer_tag", None),
    ("<think>a</think><answer>1", "answer_tag", None),
    ("a</think><answer>\n1\n2\n</answer>", "answer_tag", "1\n2"),
    ("\\boxed{1} then \\boxed{\\frac{1}{2}}", "boxed", "\\frac{1}{2}"),
    ("\\boxed{1", "boxed", None),
    ("<think>5\n</think>It is\n6 \n\n", "last_line", "6"),
    ("<think>5", "last_line", None),
    ("<think>5</think> all of\nit ", "whole", "all of\nit"),
    ("<think>5</think> ", "whole", None),
]


@pytest.mark.parametrize(("completion", "source", "answer"), FOUND)
def test_the_answer_is_extracted_from_the_text_after_the_thinking(completion, source, answer):
    assert extract_answer(completion, source) == answer


def test_a_missing_package_is_told_with_the_command_that_installs_it(monkeypatch):
    for offered in (dataset, reward):
        missing_requirements = offered.__r1trl__.missing_requirements
        assert missing_requirements(task="chain_sum", answer="boxed") is None
    monkeypatch.setitem(sys.modules, "reasoning_gym", None)
    with pytest.raises(ImportError, match=r"pip install 'r1trl\[gym\]'"):
        dataset(task="chain_sum")
    for offered in (dataset, reward):
        assert "pip install 'r1trl[gym]'" in offered.__r1trl__.missing_requirements()


def test_a_row_of_another_source_is_not_judged():
    assert r1trl_gym.reward.reasoning_gym.function("<answer>1</answer>", None) is None
