"""Samplers choose prompts and refuse groups; refused groups are replaced, the batch stays full."""

import functools
import itertools
from collections import defaultdict
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from r1trl.errors import StageError
from r1trl.rewards.outcomes import Scores
from r1trl.training.prompts_and_groups import StageSamplers, draw_evenly, refill_groups
from r1trl.training.rollouts import Rollout
from r1trl.types import Group

pytestmark = pytest.mark.slow  # imports torch
ROWS = Dataset.from_dict({"prompt": [f"p{i}" for i in range(12)], "number": list(range(12))})
KEY = "stages.rl.samplers"
SIZE = 2  # completions of a prompt


class InOrder:
    """Choose the rows in their order, which goes on from round to round; keep what it observes."""

    def __init__(self) -> None:
        self.next, self.observed = 0, list[int]()

    def choose(self, rows: Dataset, count: int, step: int, seed: int) -> list[int]:
        """Return the next rows."""
        start, self.next = self.next, self.next + count
        return [i % len(rows) for i in range(start, start + count)]

    def observe(self, groups: Sequence[Group]) -> None:
        """Keep the rows of the groups."""
        self.observed += [group.index for group in groups]

    def state_dict(self) -> dict[str, Any]:
        """Return the next row."""
        return {"next": self.next}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the next row."""
        self.next = state["next"]


class Admits:
    """Admit the groups that a function admits."""

    def __init__(self, admits: Callable[[int], bool], rounds: int = 2) -> None:
        self.admits, self.rounds = admits, rounds

    def admit(self, group: Group) -> bool:
        """Return what the function returns for the group's row."""
        return self.admits(group.index)


def samplers(**each: Any) -> StageSamplers:
    """Return samplers by name, put together."""
    return StageSamplers(each, ROWS, 7, KEY)


def test_rows_are_drawn_evenly_and_none_twice_until_all_are_used() -> None:
    drawn = draw_evenly(5, 12, step=3, seed=1)
    assert sorted(drawn[:5]) == sorted(drawn[5:10]) == list(range(5))
    assert len(set(drawn[10:])) == 2
    assert drawn == draw_evenly(5, 12, step=3, seed=1)
    assert drawn != draw_evenly(5, 12, step=4, seed=1) != draw_evenly(5, 12, step=4, seed=2)


def test_without_a_sampler_that_chooses_rounds_draw_other_rows() -> None:
    gates = samplers(gate=Admits(bool))
    assert gates.choose(4, 0, replacing=0) == draw_evenly(12, 4, 0, 7)
    assert gates.choose(4, 0, replacing=0) != gates.choose(4, 0, replacing=1)


def test_a_group_is_admitted_if_every_sampler_admits_it() -> None:
    both = samplers(even=Admits(lambda i: i % 2 == 0, 1), high=Admits(lambda i: i > 3, 4))
    groups = [Group(i, [1.0], {}, [1]) for i in range(8)]
    assert [group.index for group in groups if both.admits(group)] == [4, 6]
    assert both.rounds == 4


def test_the_states_of_samplers_are_saved_and_restored_by_name() -> None:
    first, second = samplers(order=InOrder(), gate=Admits(bool)), samplers(order=InOrder())
    first.choose(5, 0, 0)
    assert first.state_dict() == {"order": {"next": 5}}
    second.load_state_dict(first.state_dict())
    assert second.choose(2, 1, 0) == [5, 6]


def test_a_sampler_that_fails_is_named() -> None:
    broken = samplers(broken=Admits(lambda i: 1 / 0))
    with pytest.raises(StageError, match=rf"^{KEY}\.broken: ZeroDivisionError"):
        broken.admits(Group(0, [1.0], {}, [1]))


def test_a_sampler_that_forgets_to_answer_is_named() -> None:
    forgetful: Any = Admits(lambda i: None)  # type: ignore[arg-type, return-value]
    with pytest.raises(StageError, match=rf"^{KEY}\.forgetful: admit returned None"):
        samplers(forgetful=forgetful).admits(Group(0, [1.0], {}, [1]))


def refilled(**each: Any) -> tuple[list[int], dict[str, float], Any]:
    """Return the rows of the completions that are trained on, the metrics and the output."""
    import torch

    trainer = SimpleNamespace(
        samplers=samplers(**each),
        num_generations=SIZE,
        state=SimpleNamespace(global_step=0),
        accelerator=SimpleNamespace(num_processes=1, process_index=0, gather=lambda value: value),
        processing_class=SimpleNamespace(pad_token_id=99),
        _metrics={"train": defaultdict(list)},
    )

    def roll_out(rows: list[Any]) -> dict[str, Any]:
        numbers, width = [row["number"] for row in rows], 1 + rows[0]["number"]
        values = [float(number) for number in numbers]
        ids = [[number] * width for number in numbers]
        scores = Scores({"right": values}, {}, values, {})
        trainer.rollout = Rollout(rows, columns={"completion_ids": ids}, scores=scores)
        return {
            "prompt_ids": torch.tensor(ids),
            "completion_ids": torch.tensor(ids),
            "completion_mask": torch.ones((len(ids), width), dtype=torch.long),
            "advantages": torch.tensor(values),
            "num_items_in_batch": torch.tensor(-1),  # counted anew if rollouts are put together
        }

    output = refill_groups(trainer, 4 * SIZE, roll_out)
    logged = {name: values[0] for name, values in trainer._metrics["train"].items()}
    return [int(value) for value in output["advantages"]], logged, output


def logged(rounds: int, refused: float, missing: int) -> dict[str, float]:
    """Return the metrics of refilled groups."""
    values = {"rounds": rounds, "refused": refused, "missing": missing}
    return {f"sampling/groups/{name}": float(value) for name, value in values.items()}


def test_without_gates_a_rollout_is_one_round() -> None:
    order = InOrder()
    numbers, metrics, _ = refilled(order=order)
    assert numbers == [0, 0, 1, 1, 2, 2, 3, 3]
    assert metrics == {} and order.observed == [0, 1, 2, 3]


def test_refused_groups_are_replaced_by_those_of_further_prompts() -> None:
    order = InOrder()
    numbers, metrics, output = refilled(order=order, even=Admits(lambda i: i % 2 == 0))
    assert numbers == [0, 0, 2, 2, 4, 4, 6, 6]
    assert order.observed == [0, 1, 2, 3, 4, 5, 6]
    assert metrics == logged(3, 3 / 7, 0)
    width = 1 + 6  # the widest round
    assert output["prompt_ids"][0].tolist() == [99] * (width - 1) + [0]
    assert output["completion_ids"][0].tolist() == [0] + [99] * (width - 1)
    assert int(output["num_items_in_batch"]) == int(output["completion_mask"].sum())


def test_missing_groups_are_filled_with_admitted_ones() -> None:
    numbers, metrics, _ = refilled(order=InOrder(), few=Admits(lambda i: i in (1, 5), rounds=1))
    assert numbers == [1, 1, 5, 5, 1, 1, 5, 5]
    assert metrics == logged(2, 5 / 7, 2)


def test_without_any_admitted_group_the_first_round_is_trained_on() -> None:
    numbers, metrics, _ = refilled(order=InOrder(), none=Admits(lambda i: False, rounds=1))
    assert numbers == [0, 0, 1, 1, 2, 2, 3, 3]
    assert metrics == logged(2, 1.0, 4)


def test_a_process_that_has_all_its_groups_counts_tokens_with_one_that_lacks_some(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gathered = [[], [0, 3]]  # groups, then how many are missing: the other process lacks three
    monkeypatch.setattr(
        "r1trl.training.prompts_and_groups.gather_object", lambda _: gathered.pop(0)
    )
    numbers, metrics, output = refilled(order=InOrder(), all=Admits(lambda i: True, rounds=0))
    assert numbers == [0, 0, 1, 1, 2, 2, 3, 3] and metrics == logged(1, 0.0, 0)
    tokens = int(output["completion_mask"].sum())
    assert int(output["num_items_in_batch"]) == tokens, "counted anew, by all processes together"


class Returns:
    """A sampler whose methods return given values, or raise them."""

    def __init__(self, **values: Any) -> None:
        for method, value in values.items():
            setattr(self, method, functools.partial(self._return, value))

    def _return(self, value: Any, *_: Any) -> Any:
        if isinstance(value, Exception):
            raise value
        return value


@pytest.mark.parametrize(
    "chosen",
    [[0, 5, 5, 11], (3, 2, 1, 0), range(4), np.arange(4), [np.int64(1)] * 4, iter([1, 2, 3, 4])],
)
def test_row_numbers_of_any_whole_type_are_chosen(chosen: Any) -> None:
    numbers = samplers(mine=Returns(choose=chosen)).choose(4, 0, 0)
    assert len(numbers) == 4 and all(type(number) is int for number in numbers)


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        (
            [1, 2, 3],
            r"choose returned \[1, 2, 3\], 3 numbers; it returns 4 row numbers, whole ones",
        ),
        ([], r"choose returned \[\], 0 numbers"),
        (list(range(8)), "more than 4 numbers"),
        ([0, 1, 2, -1], r"with -1; it returns 4 row numbers, whole ones from 0 to 11"),
        ([0, 1, 2, 12], "with 12; "),
        ([0, 1, 2, 3.0], r"with 3\.0; "),
        ([0, 1, 2, True], "with True; "),
        ([0, 1, 2, None], "with None; "),
        ("0123", "with '0'; "),
        (np.array([0.0, 1, 2, 3]), r"with 0\.0; "),
        (np.zeros((4, 2), int), r"with \[0, 0\]; "),
        (7, "choose returned 7; "),
        (None, "choose returned None; "),
        (KeyError("difficulty"), "KeyError: 'difficulty'"),
    ],
)
def test_what_choose_may_not_return_is_named(chosen: Any, said: str) -> None:
    with pytest.raises(StageError, match=rf"^{KEY}\.mine: .*{said}"):
        samplers(mine=Returns(choose=chosen)).choose(4, 0, 0)


def test_a_method_that_is_async_or_endless_is_named() -> None:
    async def later(*_: Any) -> list[int]:
        return [0] * 4

    class Later:
        choose = later

    with pytest.raises(StageError, match="choose returned a coroutine or generator: it must be"):
        samplers(mine=Later()).choose(4, 0, 0)
    with pytest.raises(StageError, match="more than 4 numbers"):
        samplers(mine=Returns(choose=itertools.count())).choose(4, 0, 0)


@pytest.mark.parametrize("admitted", [1, 0.5, "no", None, [], np.array([True, False])])
def test_what_admit_may_not_return_is_named(admitted: Any) -> None:
    with pytest.raises(StageError, match=rf"^{KEY}\.mine: "):
        samplers(mine=Returns(admit=admitted)).admits(Group(0, [1.0], {}, [1]))


def test_admit_may_return_a_truth_of_numpy() -> None:
    group = Group(0, [1.0], {}, [1])
    assert samplers(mine=Returns(admit=np.bool_(True))).admits(group) is True
    assert samplers(mine=Returns(admit=np.bool_(False))).admits(group) is False


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"seen": {3: 1}}, "the key 3 in 'seen', which is no text"),
        ({"rates": np.zeros(2)}, r"array\(\[0., 0.\]\) in 'rates', a ndarray"),
        ({"seen": [{1, 2}]}, r"\{1, 2\} in 'seen', a set"),
        ({"count": np.int64(3)}, "in 'count', a int64"),
        (ValueError("lost"), "ValueError: lost"),
    ],
)
def test_a_state_that_a_checkpoint_cannot_hold_is_named_after_the_first_rollout(
    state: Any, said: str
) -> None:
    with pytest.raises(StageError, match=rf"^{KEY}\.mine: .*{said}"):
        samplers(mine=Returns(state_dict=state)).observe([])


def test_a_plain_state_is_saved() -> None:
    state = {"a": [1, (2.5, None)], "b": {"c": "text", "d": True}}
    made = samplers(mine=Returns(state_dict=state, observe=None))
    made.observe([])
    assert made.state_dict() == {"mine": state}


def test_a_state_that_does_not_load_is_named_and_other_samplers_begin_anew(
    capsys: pytest.CaptureFixture[str],
) -> None:
    broken = Returns(load_state_dict=KeyError("next"))
    with pytest.raises(StageError, match=rf"^{KEY}\.mine: KeyError: 'next'"):
        samplers(mine=broken).load_state_dict({"mine": {}})
    samplers(order=InOrder()).load_state_dict({"gone": {"next": 3}})
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        f"{KEY}.{n}: differs from the checkpoint, and begins anew" for n in ("gone", "order")
    ]


@pytest.mark.parametrize("rounds", [-1, 1.5, "3", True, None])
def test_rounds_that_are_no_count_are_named(rounds: Any) -> None:
    with pytest.raises(StageError, match=rf"^{KEY}\.gate: its rounds are {rounds!r}; they are a n"):
        samplers(gate=Admits(bool, rounds))


def test_a_sampler_that_chooses_too_few_trains_on_nothing() -> None:
    with pytest.raises(
        StageError, match=r"order: choose returned \[0, 1\], 2 numbers; it returns 4"
    ):
        refilled(order=Returns(choose=[0, 1]))
