"""A kind that cannot work is refused when its plugin loads: plugin, kind, field and reason."""

from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

import r1trl
from r1trl.config.kind_problems import kind_problems
from r1trl.config.kinds import load_plugins, stage_class
from r1trl.config.parse import parse
from r1trl.errors import ConfigError
from r1trl.kind import Kind
from r1trl.plugins.offer import Offer


def run(work: Any) -> dict[str, float]:
    return {}


@dataclass
class Inner:
    model: r1trl.Model
    weight: float = 1.0


@dataclass
class Good:
    """Every type that a setting may have."""

    models: dict[str, Inner]
    more: dict[str, Inner] | None = None
    one: Inner | None = None
    judge: r1trl.Model | None = None
    rows: list[r1trl.Rows] = field(default_factory=list)
    named: dict[str, r1trl.Model] = field(default_factory=dict)
    mode: Literal["a", "b"] = "a"
    count: int = field(default=3, metadata={"alias": "number"})


def settings(annotation: Any, **named: Any) -> Any:
    """Return a settings dataclass with one field `x`."""
    return dataclass(type("Settings", (), {"__annotations__": {"x": annotation}, **named}))


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown need": ({"needs": ("foo",)}, "needs: no key is called 'foo'; there are: adapter,"),
    "a need that is a text": ({"needs": "model"}, "needs is 'model'; give a list of keys"),
    "no list of keys": ({"takes": None}, "takes is None; give a list of keys"),
    "an unknown optional key": ({"takes": ("rewads",)}, "(did you mean 'rewards'?)"),
    "a key that is not optional": ({"takes": ("dtype",)}, "takes: no key is called 'dtype'"),
    "another output": ({"makes": "nothing"}, "makes: no choice is called 'nothing'; there are:"),
    "another way to draw": ({"draws": "always"}, "draws: no choice is called 'always'"),
    "no function": ({"run": None}, "run is None; give a function"),
    "columns that are no function": ({"columns": ("a",)}, "columns is ('a',); give a function"),
    "no name of a TRL config": ({"trl_config": int}, "give the name of TRL's config class"),
    "settings that are no class": ({"settings": Good({})}, "make it a dataclass"),
    "a type that cannot be checked": ({"settings": settings(bytes)}, "settings.x: a value of type"),
    "a list of dataclasses": ({"settings": settings(list[Inner])}, "settings.x: a value of type"),
    "an unknown type": ({"settings": settings("Nope")}, "the types of settings cannot be read"),
    "broken text as type": ({"settings": settings("list[")}, "cannot be read: SyntaxError"),
    "a default of another type": ({"settings": settings(int, x="abc")}, "the default 'abc' is not"),
    "a default that is no choice": (
        {"settings": settings(Literal["a"], x="b")},
        "settings.x: the default 'b' is not of its type",
    ),
    "bounds that are no Field": (
        {"settings": settings(int, x=field(default=1, metadata={"field": {"at_least": 1}}))},
        "settings.x: its metadata field is {'at_least': 1}; give an r1trl.Field",
    ),
    "a default out of its bounds": (
        {
            "settings": settings(
                int, x=field(default=0, metadata={"field": r1trl.Field(at_least=1)})
            )
        },
        "settings.x: the default 0 is not of its type, or out of its bounds",
    ),
    "an alias that is a key": (
        {"settings": settings(int, x=field(default=1, metadata={"alias": "model"}))},
        "settings.x: its alias 'model' is another key; choose another",
    ),
    "a check that is not called": (
        {"settings": settings(int, x=1, __post_init__=lambda self: None)},
        "settings has a __post_init__, which is not called; check values in `problems`",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_kind_that_cannot_work_is_refused_in_a_sentence(what: str) -> None:
    changed, expected = WRONG[what]
    offer = Offer("kind", "mine", "acme", Kind(**{"run": run, **changed}))
    (problem,) = kind_problems(offer)
    assert problem.startswith("plugin 'acme': kind 'mine': ") and expected in problem


def test_a_setting_may_be_of_every_type_that_is_checked() -> None:
    assert kind_problems(Offer("kind", "mine", "acme", Kind(run=run, settings=Good))) == []
    class_ = stage_class(Kind(run=run, settings=Good))
    stage, problems = parse(class_, {"kind": "mine", "models": {"a": {"model": "m"}}, "mode": "b"})
    assert problems == [] and stage.models["a"] == Inner(r1trl.Model("m")) and stage.count == 3


def test_a_required_field_of_a_nested_setting_must_be_given() -> None:
    class_ = stage_class(Kind(run=run, settings=Good))
    values = {"kind": "mine", "models": {"a": {}}, "more": {"b": {"weight": "x"}}}
    assert parse(class_, values, "stages.s.")[1] == [
        "stages.s.models.a.model: must be given",
        "stages.s.more.b.model: must be given",
        "stages.s.more.b.weight: value 'x' of type 'str' is not a float",
    ]


@pytest.mark.parametrize(
    ("offered", "expected"),
    [
        ("{'k': 'zz'}", "the alias 'k' names 'zz', which the hook does not offer"),
        ("{1: KIND}", "offers something under 1; a name is a text"),
    ],
)
def test_what_is_offered_has_a_name_that_leads_somewhere(
    offered: str, expected: str, plugin_file: Any
) -> None:
    source = f"""
    import r1trl
    KIND = r1trl.Kind(run=print)
    @r1trl.hookimpl
    def r1trl_kinds():
        return {offered}
    """
    with pytest.raises(ConfigError, match=expected):
        load_plugins([plugin_file(source)])


def test_an_alias_of_an_option_names_an_option(plugin_file: Any) -> None:
    source = """
    import r1trl
    @r1trl.describe(aliases={"old": "nope"})
    def short(rows, *, limit: int = 3):
        return rows
    @r1trl.hookimpl
    def r1trl_filters():
        return {"short": short}
    """
    expected = "the alias 'old' of filter 'short' names the option 'nope', which it has not"
    with pytest.raises(ConfigError, match=expected):
        load_plugins([plugin_file(source)])
