"""`r1trl check`: the contract run on every offer of one plugin, as a table."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from r1trl.config.kinds import load_plugins
from r1trl.errors import ConfigError, unknown
from r1trl.plugins.offer import Offer
from r1trl.report.tables import aligned
from r1trl.rewards.pool import Pool
from r1trl.trust.candidate import ROWS, SECONDS, OfferUnderTest
from r1trl.trust.contract import TESTS, TESTS_OF_ALL
from r1trl.types import ROLES


@dataclass(frozen=True)
class CheckResult:
    """The result of one test of one offer; `detail` is what is wrong, or a figure."""

    offer: str
    test: str
    passed: bool
    detail: str


def check(plugin: str, options: Sequence[str], rows: Path | None) -> list[CheckResult]:
    """Run the contract on a plugin: a file, a module, or the name of an installed one.

    `options` are `name.option=value`; `rows` is a JSON-lines file to test rewards and filters on,
    with prompt, completion and the columns they need. Raises ConfigError if the plugin does not
    load or offers nothing.
    """
    offers = _offers(plugin)
    given = _given(options, offers)
    pool = Pool(2, SECONDS)
    try:
        results = []
        for offer in offers:
            test = OfferUnderTest(offer, given.get(offer.name, {}), _rows(rows), pool)
            results += _run_tests(test)
        return results
    finally:
        pool.close()


def _offers(plugin: str) -> list[Offer]:
    """Return what a plugin offers."""
    plugins = load_plugins()
    names = {name for name, _ in plugins.manager.list_name_plugin()}
    if plugin not in names:
        plugins = load_plugins([plugin])
    manager = plugins.manager
    registered = manager.get_plugin(plugin)
    if registered is None:  # a module that an installed package offers under another name
        registered = next(
            p for _, p in manager.list_name_plugin() if getattr(p, "__name__", None) == plugin
        )
    name = manager.get_name(registered)
    offers = [o for role in ROLES for o in plugins.offers[role].values() if o.plugin == name]
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


def _run_tests(test: OfferUnderTest) -> list[CheckResult]:
    """Run every test of an offer's role; one that needs whole groups may depend on its company."""
    offer, results = test.offer, []
    for each in (*TESTS_OF_ALL, *TESTS[offer.role]):
        name = each.__name__.replace("_", " ")
        if name == "ignores company" and offer.description.needs_groups:
            continue
        try:
            detail, passed = each(test) or "", True
        except AssertionError as error:
            detail, passed = str(error), False
        except Exception as error:  # noqa: BLE001 - whatever a plugin raises is the finding
            detail, passed = f"{type(error).__name__}: {error}", False
        results.append(CheckResult(f"{offer.role} {offer.name}", name, passed, detail))
        if name == "takes options" and not passed:
            break  # it cannot even be called
    return results


def results_table(results: Sequence[CheckResult]) -> str:
    """Return results as an aligned table."""
    return aligned([(r.offer, r.test, "ok" if r.passed else "FAILED", r.detail) for r in results])
