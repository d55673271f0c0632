"""The runs of a sweep are counted on the way, and compared at the end."""

import re

import pytest
from toy_run import ToyRun, toy

from r1trl.config.checked import Composed
from r1trl.plan.plan import Plan, make_plan
from r1trl.sweep.sweep import run_all

__all__ = ["toy"]  # one for each test, with a folder of its own


def swept(toy: ToyRun, *texts: str) -> list[tuple[Plan, Composed]]:
    """Return the runs of a sweep over the text of the third stage."""
    planned = []
    for text in texts:
        toy.stages["third"]["text"] = text
        words = ["composed from these overrides:", "recipe=toy", f"stages.third.text={text}"]
        head = "".join(f"# {word}\n" for word in words)
        name = f"toy-x-text={text}"
        composed = toy.composed(f"{head}stages: {{third: {{text: {text}}}}}\n", name=name)
        planned.append((make_plan(composed), composed))
    return planned


def test_a_sweep_says_where_it_is_and_ends_with_a_table_and_a_page(
    toy: ToyRun, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_all(swept(toy, "b", "c", "d")) == 0
    said = capsys.readouterr().out.replace(f"{toy.root}/", "")
    assert [line for line in said.splitlines() if line.startswith("run ")][:3] == [
        "run 1 of 3: toy-x-text=b",
        "run 2 of 3: toy-x-text=c",
        "run 3 of 3: toy-x-text=d",
    ]
    assert said.count("taken from toy-x-text=b (same inputs)") == 4
    assert said.count("third finished") == 3
    end = said.partition("\nrun   ")[2].splitlines()
    assert re.split(r"  +", end[0].strip()) == ["text", "state", "stages", "seconds", "tokens"]
    assert re.split(r"  +", end[1])[:4] == ["toy-x-text=b", "b", "finished", "3 of 3"]
    assert end[-1] == "3 runs compared: sweep-toy-x-text.html"
    page = (toy.root / "sweep-toy-x-text.html").read_text()
    assert "<title>3 runs</title>" in page and '"elsewhere":"toy-x-text=b"' in page
    assert run_all(swept(toy, "b", "c")) == 0
    said = capsys.readouterr().out
    assert "taken from" not in said and said.count("is already finished") == 6


def test_a_sweep_of_which_a_run_fails_is_compared_and_fails(
    toy: ToyRun, capsys: pytest.CaptureFixture[str]
) -> None:
    planned = swept(toy, "b", "c")
    (toy.root / "fail").touch()
    assert run_all(planned) == 1
    said = capsys.readouterr().out
    rows = [re.split(r"  +", line)[1:4] for line in said.splitlines() if " 0 of 3 " in line]
    assert rows == [["b", "failed", "0 of 3"], ["c", "failed", "0 of 3"]]
    assert (toy.root / "sweep-toy-x-text.html").exists()


def test_one_run_is_no_sweep_even_if_it_stands_there_twice(
    toy: ToyRun, capsys: pytest.CaptureFixture[str]
) -> None:
    planned = swept(toy, "b")
    assert run_all(planned) == 0
    said = capsys.readouterr().out
    assert "run 1 of" not in said and said.count("third finished") == 1
    assert run_all(planned * 2) == 0
    said = capsys.readouterr().out
    assert "run 2 of 2" in said and "compared" not in said
    assert not list(toy.root.glob("sweep-*"))
