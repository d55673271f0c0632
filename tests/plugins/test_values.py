"""What a value is converted to, and what is refused, type by type."""

from typing import Any, Literal

import pytest

from r1trl.plugins.values import convert

CONVERTED = [
    ("1e-6", float, 1e-6),
    (1, float, 1.0),
    (0.5, float, 0.5),
    (3, int, 3),
    (True, bool, True),
    ("1e-6", str, "1e-6"),
    ("1e-6", float | str, 1e-6),
    ("cosine", float | str, "cosine"),
    ("1e-6", float | None, 1e-6),
    (None, float | None, None),
    (None, Any, None),
    ([1, "2"], list, [1, "2"]),
    ([1, "2"], list[float], [1.0, 2.0]),
    ({"a": "1e-3"}, dict[str, float], {"a": 1e-3}),
    ({"a": [1]}, dict, {"a": [1]}),
    ("lax", Literal["strict", "lax"], "lax"),
    (None, Literal["strict"] | None, None),
    ({"min_lr_rate": 0.1}, dict[str, Any] | str | None, {"min_lr_rate": 0.1}),
    (object, Any, object),
]
REFUSED = [
    ("many", int, "value 'many' of type 'str' is not an int"),
    (1.5, int, "value '1.5' of type 'float' is not an int"),
    (True, int, "value 'True' of type 'bool' is not an int"),
    (1, bool, "value '1' of type 'int' is not a bool"),
    ("true", bool, "value 'true' of type 'str' is not a bool"),
    (7, str, "value '7' of type 'int' is not a str"),
    ("fast", float, "value 'fast' of type 'str' is not a float"),
    (True, float, "value 'True' of type 'bool' is not a float"),
    ([1.0], float, "value '[1.0]' of type 'list' is not a float"),
    (None, float, "value 'None' of type 'NoneType' is not a float"),
    (None, int, "value 'None' of type 'NoneType' is not an int"),
    ("a", list[str], "value 'a' is not a list"),
    (["a"], list[int], "value 'a' of type 'str' is not an int"),
    ("a", dict[str, int], "value 'a' is not a mapping"),
    ({"a": "b"}, dict[str, int], "value 'b' of type 'str' is not an int"),
    (
        "strickt",
        Literal["strict", "lax"],
        "'strickt' is not possible (did you mean 'strict'?); choose one of: strict, lax",
    ),
    ("a", int | list[int], "value 'a' of type 'str' is not an int; value 'a' is not a list"),
]


@pytest.mark.parametrize(("value", "type_", "expected"), CONVERTED)
def test_what_is_safe_is_converted(value: Any, type_: Any, expected: Any) -> None:
    found = convert(value, type_)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(("value", "type_", "message"), REFUSED)
def test_what_does_not_fit_is_refused_with_a_sentence(value: Any, type_: Any, message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared below
        convert(value, type_)
    assert str(caught.value) == message
