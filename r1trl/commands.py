"""What each command does; it imports what it needs, so that the others stay fast."""

import argparse
from typing import Any

from r1trl.errors import ConfigError


def _run(arguments: argparse.Namespace) -> int:
    from r1trl.run.loop import run

    status = 0
    for plan, composed in _plans(arguments):
        status = max(status, run(plan, composed))
    return status


def _plan(arguments: argparse.Namespace) -> int:
    from r1trl.plan.plan import describe

    for plan, _ in _plans(arguments):
        print(describe(plan))
        if arguments.preflight:
            _preflight(plan)
    return 0


def _preflight(plan: Any) -> None:
    from r1trl.trust.preflight import preflight

    found = preflight(plan)
    for finding in found:
        if not finding.wrong:
            print(f"note: {finding.text}")
    problems = [finding.text for finding in found if finding.wrong]
    if problems:
        raise ConfigError(problems)
    print("preflight: every gold answer that was tried gets the full score, and nothing else does")


def _plans(arguments: argparse.Namespace) -> list[Any]:
    from r1trl.config.compose import compose, sweep
    from r1trl.plan.plan import make_plan

    overrides = sweep(arguments.overrides) if arguments.multirun else [arguments.overrides]
    plans = []
    for each in overrides:
        try:
            config, composed = compose(each, arguments.config_dir)
        except ConfigError as error:
            raise ConfigError(error.problems + _further(error.partial)) from error
        plans.append((make_plan(config), composed))
    return plans


def _further(config: Any) -> list[str]:
    """Return what else is wrong with a config that has problems already."""
    from r1trl.plan.plan import make_plan

    try:
        if config is not None:
            make_plan(config)
    except ConfigError as error:
        return error.problems
    return []


def _plugins(arguments: argparse.Namespace) -> int:
    from r1trl.plugins.loading import load

    plugins = load(arguments.load)
    for kind, offers in plugins.offers.items():
        if arguments.kind not in (None, kind):
            continue
        print(f"{kind}s")
        for name, offer in sorted(offers.items()):
            print(f"  {name}  ({offer.plugin})  {offer.summary}")
            for option, default in offer.options.items():
                print(f"      {default}" if option else "")
    return 0


def _check(arguments: argparse.Namespace) -> int:
    from r1trl.trust.check import check, table

    verdicts = check(arguments.plugin, arguments.options, arguments.rows)
    print(table(verdicts))
    return 0 if all(verdict.passed for verdict in verdicts) else 1


def _rescore(arguments: argparse.Namespace) -> int:
    from r1trl.trust.rescore import rescore

    print(rescore(arguments.folder, arguments.overrides))
    print(f"\n{arguments.folder / 'rescored.parquet'}")
    return 0


def _report(arguments: argparse.Namespace) -> int:
    from r1trl.report.report import write_report

    if not (arguments.run / "stages").is_dir():
        raise ConfigError([f"{arguments.run} is not the folder of a run: it has no stages/"])
    print(write_report(arguments.run))
    print(f"\n{arguments.run / 'report.md'}")
    return 0


COMMANDS = {
    "run": _run,
    "plan": _plan,
    "plugins": _plugins,
    "check": _check,
    "rescore": _rescore,
    "report": _report,
}
