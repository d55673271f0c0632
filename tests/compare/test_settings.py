"""The differences of configs are those that matter, once each, under names that differ."""

from pathlib import Path

from r1trl.compare.runs import read_runs
from r1trl.compare.settings import Difference, differences

ONE = """
name: one
runs_dir: here
scale: {rl: {rate: 0.1}, steps: 5}
stages:
  zero: {args: {rate: "${scale.rl.rate}", beta: 0.0}, rewards: {a: {}}}
  dev: {args: {rate: 0.5, beta: 0.0, steps: "${scale.steps}"}, list: [1, 2]}
"""


def found(tmp_path: Path, *others: str) -> list[Difference]:
    """Return the differences of runs with these configs."""
    folders = []
    for number, text in enumerate((ONE, *others)):
        folder = tmp_path / f"run{number}"
        (folder / "stages").mkdir(parents=True)
        (folder / "config.yaml").write_text(text)
        folders.append(folder)
    return differences(read_runs(folders))


def test_equal_configs_differ_in_nothing_and_names_and_places_do_not_count(tmp_path: Path) -> None:
    assert found(tmp_path, ONE.replace("name: one", "name: two").replace("here", "there")) == []


def test_a_value_that_stages_refer_to_is_one_difference(tmp_path: Path) -> None:
    differ = found(tmp_path, ONE.replace("0.1", "0.2"))
    assert differ == [Difference("scale.rl.rate", "rate", ["0.1", "0.2"])]


def test_keys_with_the_same_last_part_are_told_apart(tmp_path: Path) -> None:
    other = ONE.replace("beta: 0.0", "beta: 1.0").replace("[1, 2]", "[1, 3]")
    differ = found(tmp_path, other)
    assert [(each.name, each.values) for each in differ] == [
        ("zero.args.beta", ["0.0", "1.0"]),
        ("dev.args.beta", ["0.0", "1.0"]),
        ("list", ["[1, 2]", "[1, 3]"]),
    ]
    assert differ[0].key == "stages.zero.args.beta"


def test_a_reference_is_compared_by_what_it_stands_for(tmp_path: Path) -> None:
    same = ONE.replace('"${scale.rl.rate}"', "0.1")
    assert found(tmp_path / "same", same) == []
    [differs] = found(tmp_path / "other", ONE.replace('"${scale.rl.rate}"', "0.3"))
    assert (differs.name, differs.values) == ("rate", ["0.1", "0.3"])


def test_what_a_run_lacks_is_one_difference_and_all_runs_are_in_it(tmp_path: Path) -> None:
    other = ONE.replace(", rewards: {a: {}}", ", rewards: {a: {}, b: {weight: 2}}")
    [differs] = found(tmp_path, other, ONE)
    assert (differs.key, differs.values) == ("stages.zero.rewards.b", ["–", '{"weight": 2}', "–"])
