"""Rewards in TRL's own form get what TRL gives them, and say so if they want messages."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from r1trl.config.kinds import load_plugins
from r1trl.config.stage_parts import ScoringConfig
from r1trl.errors import StageError
from r1trl.plugins.loading import load
from r1trl.rewards.pool import Pool
from r1trl.rewards.scorer import Scorer, bind_reward, make_scorer
from r1trl.tracking.tracking import Tracking
from r1trl.training.callbacks import completion_rows
from r1trl.training.rollouts import Rollout
from tests.one_step import OneStep

# From TRL's documentation of GRPOTrainer and its tests, with the file's own names.
PLUGIN = """
import re
import typing
import numpy
import r1trl

def reward_len(prompts, completions, completion_ids, **kwargs):
    return [float(len(ids)) for ids in completion_ids]

def format_reward_func(completions: list[list[dict[str, str]]], **kwargs):
    pattern = r"^<think>.*?</think><answer>.*?</answer>$"
    contents = [completion[0]["content"] for completion in completions]
    return [1.0 if re.match(pattern, content) else 0.0 for content in contents]

def untold_format(completions, **kwargs):
    return [1.0 if completion[0]["content"] else 0.0 for completion in completions]

def untold_last(completions, **kwargs):
    return [float(len(completion[-1].get("content"))) for completion in completions]

def correctness_reward_func(
    prompts: "list[list[dict]]", completions: "typing.List[typing.List[dict]]", solution, **kwargs
):
    questions = [prompt[-1]["content"] for prompt in prompts]
    roles = [(prompt[-1]["role"], c[0]["role"]) for prompt, c in zip(prompts, completions)]
    assert set(roles) == {("user", "assistant")} and questions[0] == "1 + 1?", questions
    return [2.0 if c[0]["content"] == s else 0.0 for c, s in zip(completions, solution)]

def accuracy_reward(completions, solution, log_extra=None, log_metric=None, **kwargs):
    answers = [re.sub(r"\\D", "", completion) or None for completion in completions]
    log_extra("extracted_answer", answers)
    for answer in answers:
        log_extra("length", [numpy.int64(len(answer or ""))])
    log_metric("accuracy", sum(a == s for a, s in zip(answers, solution)) / len(answers))
    return [float(a == s) for a, s in zip(answers, solution)]

def by_step(completions, trainer_state, **kwargs):
    return [trainer_state.global_step / trainer_state.max_steps] * len(completions)

def by_keyword(completions, *, trainer_state, log_metric=None, **kwargs):
    log_metric(name="at_step", value=trainer_state.global_step)
    return [1.0] * len(completions)

async def later(prompts, completions, **kwargs):
    kwargs["log_extra"](column="later", values=completions)
    return [float(kwargs["trainer_state"].global_step)] * len(completions)

def only_columns(prompts, completions, completion_ids, solution):
    return [1.0] * len(solution)

def logs_few(completions, log_extra, **kwargs):
    log_extra("few", [1])
    return [1.0] * len(completions)

def logs_prompt(completions, log_extra, **kwargs):
    log_extra("prompt", completions)
    return [1.0] * len(completions)

def logs_text(completions: list[list[dict[str, str]]], log_extra, **kwargs):
    log_extra("text", [completion[0]["content"].upper() for completion in completions])
    return [0.5 if "trainer_state" in kwargs else 0.0 for _ in completions]

class Curriculum:
    def __call__(self, completions, trainer_state, log_metric, **kwargs):
        log_metric("curriculum", 0.25)
        log_metric("curriculum", 0.75)
        return [float(trainer_state.global_step)] * len(completions)

@r1trl.hookimpl
def r1trl_rewards():
    return {name: each for name, each in globals().items() if name in OFFERED}

OFFERED = ("reward_len", "format_reward_func", "untold_format", "untold_last", "by_step", "later",
           "correctness_reward_func", "accuracy_reward", "by_keyword", "only_columns", "logs_few",
           "logs_prompt", "logs_text", "Curriculum")
"""
ROWS = {
    "prompt": ["<|user|>1 + 1?\n<|assistant|>"] * 3,
    "question": ["1 + 1?"] * 3,
    "completion": ["It is 2", "", "<think>3</think><answer>2</answer>"],
    "completion_ids": [[1, 2], [], [3]],
    "solution": ["2", "2", "2"],
}
Made = Callable[..., Scorer]


class State:
    """A trainer's state."""

    global_step, max_steps = 3, 4


@pytest.fixture
def scorer(plugin_file: Any) -> Iterator[Made]:
    """Return a function that makes the scorer of rewards by name."""
    plugins, made = load([plugin_file(PLUGIN)]), list[Scorer]()

    def make(*names: str, **options: Any) -> Scorer:
        rewards = dict.fromkeys(names, options)
        made.append(make_scorer(rewards, ScoringConfig(processes=1), plugins))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_a_reward_whose_annotation_says_messages_gets_them(scorer: Made) -> None:
    found = scorer("format_reward_func", "correctness_reward_func", "reward_len").score(ROWS)
    assert found.values == {
        "format_reward_func": [0.0, 0.0, 1.0],
        "correctness_reward_func": [0.0, 0.0, 0.0],
        "reward_len": [2.0, 0.0, 1.0],
    }
    answers = scorer("correctness_reward_func").score({**ROWS, "completion": ["2", "3", "2"]})
    assert answers.values == {"correctness_reward_func": [2.0, 0.0, 2.0]}


def test_the_messages_of_a_row_are_its_own_or_its_text_if_it_has_no_question(scorer: Made) -> None:
    made = scorer("correctness_reward_func")
    own = [{"role": "system", "content": "Add."}, {"role": "user", "content": "1 + 1?"}]
    assert made.score({**ROWS, "prompt": [own] * 3}).totals == [0.0] * 3
    plain = {name: values for name, values in ROWS.items() if name != "question"}
    assert made.score({**plain, "prompt": ["1 + 1?"] * 3}).totals == [0.0] * 3


@pytest.mark.parametrize("name", ["untold_format", "untold_last"])
def test_a_reward_that_reads_messages_without_saying_so_is_refused_by_name(
    name: str, scorer: Made
) -> None:
    hint = "a reward that reads messages says so in its signature: completions: list[list[dict["
    with pytest.raises(StageError, match=f"reward '{name}' failed: .*{re.escape(hint)}"):
        scorer(name).score(ROWS)


def test_the_rewards_of_trl_work_as_they_are(scorer: Made) -> None:
    from trl import rewards as theirs

    functions = (theirs.think_format_reward, theirs.accuracy_reward)
    bound = [bind_reward(each.__name__, each, {}) for each in functions]
    made = Scorer(bound, ScoringConfig(processes=1))
    rows = {**ROWS, "completion": [r"<think>\boxed{2}</think>", r"\boxed{2}", r"\boxed{3}"]}
    rows |= {"solution": ["$2$"] * 3}
    found = made.score(rows)
    made.close()
    assert found.values["think_format_reward"] == [1.0, 0.0, 0.0]
    assert found.values["accuracy_reward"] == [1.0, 1.0, 0.0]
    assert found.extra["solution"] == rows["solution"] and "answer_parsed" in found.extra


def test_the_state_of_the_trainer_reaches_every_form_of_reward(scorer: Made) -> None:
    made = scorer("by_step", "by_keyword", "later", "Curriculum", "only_columns")
    rows = {name: ROWS[name] for name in ("prompt", "completion", "completion_ids", "solution")}
    found = made.score(rows, 3, State)
    assert {name: values[0] for name, values in found.values.items()} == {
        "by_step": 0.75,
        "by_keyword": 1.0,
        "later": 3.0,
        "Curriculum": 3.0,
        "only_columns": 1.0,
    }
    assert found.metrics("by_keyword")["at_step"] == 3.0
    assert found.metrics("Curriculum")["curriculum"] == 0.5
    assert found.extra == {"later": ROWS["completion"]}


def test_outside_of_training_the_state_is_that_of_its_beginning(scorer: Made) -> None:
    assert scorer("by_step", "later").score(ROWS).totals == [0.0] * 3


def test_what_is_logged_of_completions_stands_beside_them(scorer: Made) -> None:
    made = scorer("accuracy_reward", where={"source": "math"})
    rows = {**ROWS, "source": ["math", "chat", "math"]}
    found = made.score(rows, 3, State)
    assert found.extra == {"extracted_answer": ["2", None, "32"], "length": [1, None, 2]}
    assert found.metrics("accuracy_reward")["accuracy"] == 0.5
    written = completion_rows(Rollout(columns=rows, scores=found), 3, 3)
    assert [row["extracted_answer"] for row in written] == ["2", None, "32"]
    assert json.loads(json.dumps(written)) == written


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("logs_few", "reward 'logs_few' logged 1 values in the column 'few' for 3 completions"),
        ("logs_prompt", "reward 'logs_prompt' logged a column 'prompt', which is there already"),
    ],
)
def test_columns_that_do_not_fit_are_refused_by_name(name: str, message: str, scorer: Made) -> None:
    with pytest.raises(StageError, match=message):
        scorer(name).score(ROWS)


def test_what_a_trainer_gives_is_no_option(plugin_file: Any) -> None:
    plugins = load([plugin_file(PLUGIN)])
    assert plugins.find("reward", "by_keyword").options == {}


class OneStepOfMine(OneStep):
    """A step of training with rewards in TRL's form."""

    def stage(self, args: Mapping[str, Any]) -> Any:
        """Return the stage with the rewards of PLUGIN beside its own."""
        self.plugins = load_plugins([str(self.folder / "mine.py")])
        stage = super().stage(args)
        names = ("reward_len", "format_reward_func", "logs_text", "Curriculum", "by_keyword")
        return replace(stage, rewards={name: {} for name in names})


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["grpo", "rloo"])
def test_what_rewards_log_is_in_the_files_of_a_run(
    kind: str, tiny_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(PLUGIN)
    step = OneStepOfMine(kind, tiny_model, tmp_path, tracking=Tracking(4))
    step.train({"max_steps": 2, "log_completions": True})
    folder = tmp_path / f"{kind}-1"
    metrics = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in metrics if "curriculum" in row] == [1, 2]
    assert [row["curriculum"] for row in metrics if "curriculum" in row] == [0.5, 0.5]
    assert [row["at_step"] for row in metrics if "at_step" in row] == [0.0, 1.0]
    assert [row["rewards/Curriculum/mean"] for row in metrics[:2]] == [0.0, 1.0]
    rows = [json.loads(line) for line in (folder / "completions.jsonl").read_text().splitlines()]
    assert rows and all(row["text"] == row["completion"].upper() for row in rows)
    tables = list(folder.rglob("completions_00001.parquet"))  # TRL's own, of GRPO alone
    assert len(tables) == (kind == "grpo")
    assert all({"text", "by_keyword"} <= set(pq.read_schema(table).names) for table in tables)


NUMBERS = """
import numpy, torch
import r1trl

def numbers(prompts, completions, completion_ids, **columns):
    return [numpy.float32(0.5), torch.tensor(0.25), numpy.int64(1), None]

@r1trl.hookimpl
def r1trl_rewards():
    return {"numbers": numbers}
"""


def test_numbers_of_numpy_and_torch_are_numbers(plugin_file: Any) -> None:
    offer = load([plugin_file(NUMBERS)]).find("reward", "numbers")
    rows = {name: ["a"] * 4 for name in ("prompt", "completion")} | {"completion_ids": [[1]] * 4}
    pool = Pool(1, 5.0)
    values = bind_reward("numbers", offer.target, {}).ask(rows, None, pool).values
    pool.close()
    assert list(values) == [0.5, 0.25, 1, None]
