"""Overrides of a command line: what cannot be read, what replaces, what is deleted, what counts."""

import shlex
from pathlib import Path
from typing import Any

import pytest

from r1trl.config.compose import compose
from r1trl.config.keys import delete_key, path_in, set_key
from r1trl.config.overrides import read_all
from r1trl.errors import ConfigError

ZERO = ("recipe=zero", "scale=tiny")
UNREADABLE = {
    "foo": "'foo': is no override; give key=value, group=option or ~key",
    "=3": "'=3': is no override;",
    "a..b=3": "'a..b=3': is no override;",
    "seed=1,2": "seed: 1,2 is a sweep; add -m, or quote it: ",
    "seed=range(1,3)": "seed: range(1,3) is a sweep; add -m, or quote it: ",
    "a.b=it's": "a.b: cannot read it's: the quote ' has no end; quote it: ",
    "a.b=ünï": "a.b: cannot read ünï: ü must be quoted; quote it: ",
    "a/b=x=y": "a/b: cannot read x=y: = must be quoted; quote it: ",
    "ä b@c=(x)": "ä b@c: cannot read (x): ( must be quoted; quote it: ",
    "a={b": "a: cannot read {b: it has no end; a mapping is {key: value}, a list [a, b]",
    'a={"b": c}': 'a: cannot read {"b": c}: "b" cannot stand there; a mapping is {key: value}',
    "a=[b,c": "a: cannot read [b,c: it has no end; a mapping is {key: value}, a list [a, b]",
    "a=f(3)": "a: cannot read f(3): HydraException while evaluating 'f(3)': Unknown function 'f'",
    "~a=3": "a: to delete it, leave out =3",
    "hydra.run.dir=x": "hydra.run.dir: r1trl does not run Hydra's jobs; runs_dir= and name= say",
    "hydra/launcher=ray": "hydra/launcher: r1trl does not run Hydra's jobs;",
}
TEXTS = (
    "it's",
    "ünï",
    "a{b}",
    "a=b",
    "a, b",
    '"a',
    "#x",
    "<think>\n",
    "(x)",
    "{{ prompt }}",
    "a!b",
    "a'\"",
)
# What is given as a whole, and the entries of the recipe's that it leaves out.
WHOLE = {
    "stages.zero.rewards={tag_count: {}}": "accuracy, think_format",
    "stages.zero.transitions={divergence: {kl: 3}}": "equal_rewards, entropy_collapse, length_",
    "stages.zero.data={general: {}}": "problems",
    "stages.zero_first.args={max_steps: 3}": "loss_type, scale_rewards, importance_sampling_level",
    "stages.scoreboard.models={b: {path: x}}": "base, zero",
    "stages.scoreboard.metrics={correct: accuracy}": "format, language_consistency",
    "sources.problems.filters={head: {count: 3}}": "decontaminate",
    "benchmarks={own: {path: x}}": "held_out, harder, unseen, helpful, safe",
}


@pytest.mark.parametrize("override", UNREADABLE)
def test_what_cannot_be_read_is_told_in_one_line_with_its_key(override: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_all([override])
    (problem,) = caught.value.problems
    assert problem.startswith(UNREADABLE[override]) and "\n" not in problem


def test_everything_that_cannot_be_read_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        read_all(["seed=1", *UNREADABLE])
    assert len(caught.value.problems) == len(UNREADABLE)


@pytest.mark.parametrize("text", TEXTS)
def test_the_quoted_override_that_is_suggested_can_be_pasted(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_all([f"stages.zero.system={text}"])
    (word,) = shlex.split(caught.value.problems[0].partition("quote it: ")[2])
    (override,) = read_all([word])
    assert (override.key, override.value) == ("stages.zero.system", text)


@pytest.mark.parametrize("plus", ["", "+", "++"])
def test_a_mapping_that_is_given_as_a_whole_replaces_the_recipes(plus: str) -> None:
    run = compose([*ZERO, *(plus + override for override in WHOLE)], None)
    for note, (override, gone) in zip(run.notes, WHOLE.items(), strict=True):
        key = override.partition("=")[0]
        assert note.startswith(f"{key} is replaced as a whole, without {gone}")
    zero, board = run.config.stages["zero"], run.config.stages["scoreboard"]
    assert zero.rewards == {"tag_count": {}} and list(zero.data) == ["general"]
    assert zero.transitions == {"divergence": {"kl": 3}}
    assert run.config.stages["zero_first"].args == {"max_steps": 3}
    assert list(board.models) == ["b"] and board.metrics == {"correct": "accuracy"}
    assert list(run.config.sources["problems"].filters) == ["head"]
    assert list(run.config.benchmarks) == ["own"]


def test_a_mapping_in_a_file_merges_with_the_recipe_that_it_derives_from(tmp_path: Path) -> None:
    (tmp_path / "recipe").mkdir()
    (tmp_path / "recipe" / "mine.yaml").write_text(
        "# @package _global_\ndefaults: [/recipe/zero, _self_]\n"
        "stages: {zero: {rewards: {tag_count: {}}}}\n"
    )
    rewards = compose(["recipe=mine", "scale=tiny"], tmp_path).config.stages["zero"].rewards
    assert {"accuracy", "think_format", "tag_count"} <= set(rewards)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("a.b", 3, {"a": {"b": 3, "c.d": {"e": 1}}, "l": [1, {"x": 2}]}),
        ("a.c.d.e", 3, {"a": {"b": {}, "c.d": {"e": 3}}, "l": [1, {"x": 2}]}),
        ("a.n.m", 3, {"a": {"b": {}, "c.d": {"e": 1}, "n": {"m": 3}}, "l": [1, {"x": 2}]}),
        ("l.0", 3, {"a": {"b": {}, "c.d": {"e": 1}}, "l": [3, {"x": 2}]}),
        ("l.1.x", 3, {"a": {"b": {}, "c.d": {"e": 1}}, "l": [1, {"x": 3}]}),
        ("l.2", 3, "l.2: there is no entry '2'; the list has 2 entries, counted from 0"),
        ("l.x", 3, "l.x: there is no entry 'x'; the list has 2 entries, counted from 0"),
    ],
)
def test_a_key_is_set_wherever_it_is(key: str, value: Any, expected: Any) -> None:
    values: dict[str, Any] = {"a": {"b": {}, "c.d": {"e": 1}}, "l": [1, {"x": 2}]}
    if isinstance(expected, str):
        with pytest.raises(ConfigError, match=expected):
            list(set_key(values, key, value))
        return
    assert list(set_key(values, key, value)) == []
    assert values == expected


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("a.b", {"a": {"c.d": {"e": 1}}}),
        ("a.c.d", {"a": {"b": None}}),
        ("a.bb", "a.bb: there is nothing to delete (did you mean 'b'?)"),
        ("b.b", "b.b: there is nothing to delete"),
        ("a.b.c", "a.b.c: there is nothing to delete"),
    ],
)
def test_a_key_is_deleted_if_it_is_there(key: str, expected: Any) -> None:
    values: dict[str, Any] = {"a": {"b": None, "c.d": {"e": 1}}}
    if isinstance(expected, str):
        with pytest.raises(ConfigError) as caught:
            delete_key(values, key)
        assert caught.value.problems == [expected]
        return
    delete_key(values, key)
    assert values == expected


def test_a_name_with_dots_in_it_is_one_part_of_a_key() -> None:
    values = {"stages": {"q2.5": {"args": {}}, "q2": {}}}
    assert path_in(values, "stages.q2.5.args.x") == ["stages", "q2.5", "args", "x"]
    assert path_in(values, "stages.q3.5") == ["stages", "q3", "5"]
    run = compose([*ZERO, "stages={q2.5: {kind: sft, model: m}}", "stages.q2.5.batch=8"], None)
    assert run.config.stages["q2.5"].batch == 8


@pytest.mark.parametrize(
    ("written", "value"),
    [
        (r'"<think>\n"', "<think>\n"),
        (r"'<think>\n'", r"<think>\n"),
        (r'"a\tb\\nc\"\n"', 'a\tb\\\\nc"\n'),
        (r'["a\n", {b: "\n"}, ' + r"'\n']", ["a\n", {"b": "\n"}, r"\n"]),
        (r'"\\boxed{} \alpha"', r"\\boxed{} \alpha"),
    ],
)
def test_escapes_in_double_quotes_are_those_of_yaml(written: str, value: Any) -> None:
    [override] = read_all([f"stages.a.prefill={written}"])
    assert override.value == value
