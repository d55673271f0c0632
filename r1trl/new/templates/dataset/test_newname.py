"""What the dataset promises."""

from newname import newname


def test_there_are_as_many_rows_as_asked_for_with_right_solutions() -> None:
    rows = newname(count=10, seed=1)
    assert len(rows) == 10
    for row in rows:
        one, _, other = row["prompt"].split()
        assert int(row["solution"]) == int(one) + int(other)


def test_a_seed_has_always_the_same_rows() -> None:
    assert newname(count=5, seed=1).to_list() == newname(count=5, seed=1).to_list()
