"""`r1trl check`: the contract run on every offer of one plugin, as a table."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from r1trl.errors import ConfigError, unknown
from r1trl.plugins.loading import load
from r1trl.plugins.offer import Offer
from r1trl.report.tables import aligned
from r1trl.rewards.pool import Pool
from r1trl.trust.candidate import ROWS, SECONDS, OfferUnderTest
from r1trl.trust.contract import CHECKS, OF_ALL
from r1trl.types import KINDS


@dataclass(frozen=True)
class Verdict:
    """What a check said of an offer."""

    offer: str
    check: str
    passed: bool
    told: str


def check(plugin: str, options: Sequence[str], rows: Path | None) -> list[Verdict]:
    """Run the contract on a plugin: a file, a module, or the name of an installed one.

    `options` are `name.option=value`; `rows` is a JSON-lines file to try rewards and filters on,
    with prompt, completion and the columns they need. Raises ConfigError where the plugin does not
    load or offers nothing.
    """
    offers = _offers(plugin)
    given = _given(options, offers)
    pool = Pool(2, SECONDS)
    try:
        verdicts = []
        for offer in offers:
            subject = OfferUnderTest(offer, given.get(offer.name, {}), _rows(rows), pool)
            verdicts += _check(subject)
        return verdicts
    finally:
        pool.close()


def _offers(plugin: str) -> list[Offer]:
    """Return what a plugin offers."""
    plugins = load()
    names = {name for name, _ in plugins.manager.list_name_plugin()}
    if plugin not in names:
        plugins = load([plugin])
    manager = plugins.manager
    found = manager.get_plugin(plugin)
    if found is None:  # a module that an installed package offers under another name
        found = next(
            p for _, p in manager.list_name_plugin() if getattr(p, "__name__", None) == plugin
        )
    name = manager.get_name(found)
    offers = [o for kind in KINDS for o in plugins.offers[kind].values() if o.plugin == name]
    if not offers:
        raise ConfigError(
            [f"the plugin '{plugin}' offers nothing: it has no hook r1trl_rewards, …"]
        )
    return offers


def _given(options: Sequence[str], offers: Sequence[Offer]) -> dict[str, dict[str, Any]]:
    """Read `name.option=value`."""
    given: dict[str, dict[str, Any]] = {}
    names = [offer.name for offer in offers]
    for word in options:
        key, equals, value = word.partition("=")
        name, dot, option = key.partition(".")
        if not (equals and dot):
            raise ConfigError([f"'{word}': write options as name.option=value"])
        if name not in names:
            raise ConfigError([f"'{word}': {unknown('offer', name, names)}"])
        given.setdefault(name, {})[option] = yaml.safe_load(value)
    return given


def _rows(path: Path | None) -> Mapping[str, list[Any]]:
    if path is None:
        return {name: list(values) for name, values in ROWS.items()}
    lines = path.read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines if line.strip()]
    if not rows or not {"prompt", "completion"} <= rows[0].keys():
        raise ConfigError([f"{path}: needs rows with the columns prompt and completion"])
    return {name: [row.get(name) for row in rows] for name in rows[0]}


def _check(subject: OfferUnderTest) -> list[Verdict]:
    """Run every check of an offer's kind; what needs whole groups may depend on its company."""
    offer, verdicts = subject.offer, []
    for each in (*OF_ALL, *CHECKS[offer.kind]):
        name = each.__name__.replace("_", " ")
        if name == "ignores company" and getattr(offer.what, "needs_groups", False):
            continue
        try:
            told, passed = each(subject) or "", True
        except AssertionError as error:
            told, passed = str(error), False
        except Exception as error:  # noqa: BLE001 - whatever a plugin raises is the finding
            told, passed = f"{type(error).__name__}: {error}", False
        verdicts.append(Verdict(f"{offer.kind} {offer.name}", name, passed, told))
        if name == "takes options" and not passed:
            break  # it cannot even be called
    return verdicts


def table(verdicts: Sequence[Verdict]) -> str:
    """Return verdicts as an aligned table."""
    return aligned([(v.offer, v.check, "ok" if v.passed else "FAILED", v.told) for v in verdicts])
