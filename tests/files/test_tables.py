"""A column keeps its values whatever they are, and columns of several types fit together."""

from typing import Any

import pytest

from r1trl.files.tables import dataset_of, dataset_of_rows, put_together

USER = {"role": "user", "content": "a"}
CALL = {"role": "assistant", "content": None, "tool_calls": [{"arguments": {"unit": None}}]}


@pytest.mark.parametrize(
    "values",
    [
        *([1, 2], [1.5, None], ["a", None], [True, False], [None, None], ["7", "null", "[1]"]),
        *([["a"], []], [[], []], [[1], None], [[[1]], [[2]]], [[[1]], ["a"]]),
        *([{"a": 1}, {"a": 2}], [{"a": 1}, {"b": "x"}], [{"a": 1}, {"a": "x"}], [{}, {}]),
        *([[USER], [USER, CALL]], [[USER], []], [{"a": 1}, "7"], [{"a": 1}, "text"]),
    ],
)
def test_a_column_keeps_its_values(values: list[Any]) -> None:
    rows = dataset_of({"x": values})
    assert rows["x"][:] == values
    again = dataset_of({"x": rows["x"][:]}, rows.features)
    assert again["x"][:] == values


@pytest.mark.parametrize(
    ("values", "spelled"),
    [
        ([1, "2"], ["1", "2"]),
        ([True, "yes", None], ["True", "yes", None]),
        ([7, 7.5, "x", 5e-05], ["7", "7.5", "x", "0.00005"]),
        ([2**70, 1], [str(2**70), "1"]),
        ([["a"], "b", 3], [["a"], ["b"], ["3"]]),
        ([[1], ["a", None]], [["1"], ["a", None]]),
    ],
)
def test_numbers_beside_texts_are_texts_by_one_spelling(
    values: list[Any], spelled: list[Any]
) -> None:
    assert dataset_of({"solution": values})["solution"][:] == spelled
    parts = [dataset_of({"solution": [value]}) for value in values]
    assert put_together(parts)["solution"][:] == spelled


def test_a_type_may_change_after_any_number_of_rows() -> None:
    rows = dataset_of_rows({"solution": i if i < 25_000 else str(i)} for i in range(25_001))
    assert rows["solution"][:] == [str(i) for i in range(25_001)]


def test_numbers_that_differ_only_in_kind_stay_numbers() -> None:
    rows = put_together(
        [dataset_of({"x": [1]}), dataset_of({"x": [None]}), dataset_of({"x": [2.5]})]
    )
    assert rows["x"][:] == [1.0, None, 2.5]


@pytest.mark.parametrize(("name", "role"), [("prompt", "user"), ("completion", "assistant")])
def test_a_text_beside_messages_becomes_a_message(name: str, role: str) -> None:
    parts = [dataset_of({name: ["hello", None]}), dataset_of({name: [[USER, CALL]]})]
    rows = put_together(parts)
    assert rows[name][:] == [[{"role": role, "content": "hello"}], None, [USER, CALL]]
    assert dataset_of({name: ["hello", [USER]]})[name][:] == [
        [{"role": role, "content": "hello"}],
        [USER],
    ]


def test_a_column_that_a_part_lacks_is_none_there() -> None:
    parts = [dataset_of({"a": [1]}), dataset_of({"b": [[CALL]]}), dataset_of({"c": [{"x": [1]}]})]
    assert put_together(parts).to_list() == [
        {"a": 1, "b": None, "c": None},
        {"a": None, "b": [CALL], "c": None},
        {"a": None, "b": None, "c": {"x": [1]}},
    ]
