"""What the reward promises."""

from newname import newname


def test_a_shorter_completion_gets_more() -> None:
    assert newname.function("four") > newname.function("It is four, I think.")


def test_a_completion_that_is_too_long_gets_nothing() -> None:
    assert newname.function("word " * 5, longest=5) == 0
