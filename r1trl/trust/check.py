"""`r1trl check`: the contract run on every offer of one plugin, as a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from r1trl.config.kinds import load_plugins
from r1trl.data.columns import read_columns
from r1trl.errors import ConfigError, R1trlError, unknown
from r1trl.plugins.offer import Offer
from r1trl.report.tables import aligned
from r1trl.rewards.pool import Pool
from r1trl.trust.candidate import ROWS, SECONDS, OfferUnderTest, Remark
from r1trl.trust.contract import TESTS, TESTS_OF_ALL, Test, can_be_called, takes_options
from r1trl.types import ROLES

Status = Literal["ok", "note", "FAILED"]


@dataclass(frozen=True)
class CheckResult:
    """The result of one test of one offer; `detail` is what is wrong, a remark, or a figure."""

    offer: str
    test: str
    status: Status
    detail: str

    @property
    def passed(self) -> bool:
        """True unless the test failed."""
        return self.status != "FAILED"


def check(plugin: str, options: Sequence[str], rows: Path | None) -> list[CheckResult]:
    """Run the contract on a plugin: a file, a module, or the name of an installed one.

    `options` are `name.option=value`; `rows` is a .jsonl or .parquet file to test rewards and
    filters on, with prompt, completion and the columns they need. Raises ConfigError if the plugin
    does not load or offers nothing.
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
    rows = read_columns(path)
    if not {"prompt", "completion"} <= rows.keys():
        raise ConfigError([f"{path}: needs rows with the columns prompt and completion"])
    return rows


def _run_tests(test: OfferUnderTest) -> list[CheckResult]:
    """Run every test of an offer's role; one that needs whole groups may depend on its company."""
    offer, results = test.offer, []
    for each in (*TESTS_OF_ALL, *TESTS[offer.role]):
        name = each.__name__.replace("_", " ")
        if name == "ignores company" and offer.description.needs_groups:
            continue
        status, detail = _result(each, test)
        results.append(CheckResult(f"{offer.role} {offer.name}", name, status, detail))
        if each in (takes_options, can_be_called) and status == "FAILED":
            break
    return results


def _result(each: Test, test: OfferUnderTest) -> tuple[Status, str]:
    """Return the status of a test on an offer, and its detail."""
    try:
        return "ok", each(test) or ""
    except Remark as remark:
        return "note", _line(str(remark))
    except (AssertionError, R1trlError) as error:
        return "FAILED", _line(str(error))
    except Exception as error:  # noqa: BLE001 - whatever a plugin raises is the finding
        return "FAILED", _line(f"{type(error).__name__}: {error}")


def _line(text: str) -> str:
    return " ".join(text.split())


def results_table(results: Sequence[CheckResult]) -> str:
    """Return results as an aligned table."""
    return aligned([(r.offer, r.test, r.status, r.detail) for r in results])
