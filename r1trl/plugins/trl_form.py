"""What a reward in TRL's own form gets besides texts: the trainer's state, logs, and messages.

Its form is that of GRPOTrainer's `reward_funcs`: `trainer_state` is a TrainerState,
`log_extra(column, values)` adds a column to the table of completions, `log_metric(name, value)` a
metric. Prompts and completions are lists of messages, as of a conversational dataset, if the
reward's annotation says so: `completions: list[list[dict[str, str]]]`.
"""

import inspect
import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from r1trl.errors import StageError
from r1trl.plugins.offer import OF_TRAINER
from r1trl.process.texts import whole, whole_texts

COLUMNS = ("step", "prompt", "completion", "reward", "variant")  # of completions.jsonl, r1trl's own
LISTS = re.compile(r"(list|sequence)\[(list|sequence)\[")
OF_TEXTS = ("string indices must be", "'str' object has no", "string index out of range")
Message = dict[str, Any]


class Logged:
    """What a reward logs of a batch: columns with an entry for each completion, and metrics."""

    def __init__(self) -> None:
        self.extra: dict[str, list[Any]] = defaultdict(list)
        self.metrics: dict[str, list[float]] = defaultdict(list)

    def log_extra(self, column: str, values: Sequence[Any]) -> None:
        """Log the values of a column; several calls follow one another."""
        self.extra[whole(column)] += map(_plain, values)

    def log_metric(self, name: str, value: float) -> None:
        """Log a number of the batch; of several the mean is recorded."""
        self.metrics[whole(name)].append(float(value))

    def columns(self, reward: str, indices: Sequence[int], count: int) -> dict[str, list[Any]]:
        """Return the columns with `count` entries, None but at the indices that were scored.

        Raises StageError, with the name of the reward, if a column has another length or the name
        of one that every table of completions has.
        """
        whole = {}
        for column, values in self.extra.items():
            if column in COLUMNS:
                taken = ", ".join(COLUMNS)
                raise StageError(
                    f"reward '{reward}' logged a column '{column}', which is there already; choose "
                    f"another name than {taken}"
                )
            if len(values) != len(indices):
                raise StageError(
                    f"reward '{reward}' logged {len(values)} values in the column '{column}' for "
                    f"{len(indices)} completions"
                )
            by_row = dict(zip(indices, values, strict=True))
            whole[column] = [by_row.get(i) for i in range(count)]
        return whole


def _plain(value: Any) -> Any:
    """Return a value as JSON has it, what is NumPy's or torch's as numbers."""
    value = value.tolist() if hasattr(value, "tolist") else value
    return whole_texts(json.loads(json.dumps(value, default=str)))


def given_by_trainer(reward: Any, trainer_state: Any, logged: Logged) -> dict[str, Any]:
    """Return those of OF_TRAINER that a reward takes, by name or with its other keywords.

    Outside of training the state is that of a training that begins, and nothing reads what is
    logged.
    """
    parameters = inspect.signature(reward).parameters
    all_of_them = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    state = trainer_state or SimpleNamespace(
        global_step=0, max_steps=1, epoch=0.0, num_train_epochs=1, log_history=[]
    )
    given = dict(zip(OF_TRAINER, (state, logged.log_extra, logged.log_metric), strict=True))
    return {name: each for name, each in given.items() if all_of_them or name in parameters}


def takes_messages(reward: Any) -> bool:
    """Return True if the annotation of `completions` is a list of lists."""
    parameter = inspect.signature(reward).parameters.get("completions")
    annotation = str(parameter.annotation).lower() if parameter else ""
    return bool(LISTS.match(re.sub(r"typing\.|collections\.abc\.|\s", "", annotation)))


def texts_or_messages(reward: Any, rows: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
    """Return `prompts` and `completions` in the form that a reward takes.

    The messages of a prompt are the row's own, which rendering keeps as its `conversation`, or one
    of its user: the question.
    """
    prompts, completions = list(rows["prompt"]), list(rows["completion"])
    if takes_messages(reward):
        written, nothing = prompts, [None] * len(prompts)
        talks = rows.get("conversation") or nothing
        questions = rows.get("question") or nothing
        prompts = [
            talk or (prompt if isinstance(prompt, list) else [_message("user", question or prompt)])
            for talk, question, prompt in zip(talks, questions, written, strict=True)
        ]
        completions = [[_message("assistant", text)] for text in completions]
    return {"prompts": prompts, "completions": completions}


def _message(role: str, content: str) -> Message:
    return {"role": role, "content": content}


def hint_of_messages(reward: Any, error: BaseException) -> str:
    """Return what to do if a reward failed because it reads messages and got texts, else ""."""
    read = any(text in str(error) for text in OF_TEXTS)
    if not read or takes_messages(reward):
        return ""
    return (
        "; completions are texts; a reward that reads messages says so in its signature: "
        "completions: list[list[dict[str, str]]]"
    )
