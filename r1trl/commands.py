"""What each command does; it imports what it needs, so that the others stay fast."""

import argparse
import os
from collections.abc import Iterable
from typing import Any

from r1trl.errors import ConfigError
from r1trl.process.terminal import say


def _run(arguments: argparse.Namespace) -> int:
    from r1trl.sweep.sweep import run_all

    return run_all(_plans(arguments))


def _submit(arguments: argparse.Namespace) -> int:
    from r1trl.launch.submit import batch_script, driver_command, submit

    arguments.multirun = False
    ((plan, _),) = _plans(arguments)
    script = batch_script(plan, driver_command(arguments.overrides, arguments.config_dir))
    if arguments.dry_run:
        say(script, end="")
        return 0
    if plan.config.preflight:
        _preflight(plan)
    return submit(plan, script)


def _plan(arguments: argparse.Namespace) -> int:
    from r1trl.estimate.table import estimates
    from r1trl.plan.describe import describe
    from r1trl.plan.details import details

    for plan, _ in _plans(arguments):
        if not arguments.rehearse:
            say("\n\n".join(filter(None, (describe(plan), estimates(plan)))))
        if arguments.verbose:
            say(f"\n{details(plan)}")
        if arguments.preflight:
            _preflight(plan)
        if arguments.rehearse:
            _rehearse(plan)
    return 0


def _rehearse(plan: Any) -> None:
    from r1trl.rehearsal.outcome import outcome
    from r1trl.rehearsal.rehearse import rehearse

    say(f"run {plan.folder} in miniature:")
    done = rehearse(plan, say)
    say(outcome(plan, done))
    if done.problems:
        raise ConfigError(done.problems)


def _preflight(plan: Any) -> None:
    from r1trl.trust.preflight import preflight

    findings = preflight(plan)
    for finding in findings:
        if not finding.wrong:
            say(f"note: {finding.text}")
    problems = [finding.text for finding in findings if finding.wrong]
    if problems:
        raise ConfigError(problems)
    say("preflight: every gold answer that was tried gets the full score, and nothing else does")


def _plans(arguments: argparse.Namespace) -> list[Any]:
    """Return every run as it was planned and composed; print notes on names and GPUs."""
    from r1trl.config.compose import compose
    from r1trl.config.overrides import sweep
    from r1trl.estimate.judge import verdict
    from r1trl.plan.describe import gpu_notes
    from r1trl.plan.plan import make_plan
    from r1trl.stage.devices import driver_gpus

    runs = sweep(arguments.overrides) if arguments.multirun else [(arguments.overrides, "")]
    plans = []
    for overrides, tail in runs:
        try:
            composed = compose(overrides, arguments.config_dir, tail)
        except ConfigError as error:
            raise ConfigError(error.problems + _further(error.partial)) from error
        _print_notes(composed.notes)
        plan = make_plan(composed)
        _print_notes([*plan.notes, *gpu_notes(plan, os.environ, driver_gpus().number)])
        starts, rehearses = arguments.command == "run", getattr(arguments, "rehearse", False)
        _print_notes(verdict(plan, starts=starts, rehearses=rehearses))
        plans.append((plan, composed))
    return plans


def _print_notes(notes: Iterable[str]) -> None:
    for note in notes:
        say(f"note: {note}", error=True)


def _further(composed: Any) -> list[str]:
    """Return what else is wrong with a run that has problems already."""
    from r1trl.plan.plan import make_plan

    try:
        if composed is not None:
            make_plan(composed)
    except ConfigError as error:
        return error.problems
    return []


def _plugins(arguments: argparse.Namespace) -> int:
    from r1trl.config.kinds import load_plugins

    plugins = load_plugins(arguments.load)
    for role, offers in plugins.offers.items():
        if arguments.role not in (None, role):
            continue
        say(f"{role}s")
        for name, offer in sorted(offers.items()):
            say(f"  {name}  ({offer.plugin})  {offer.summary}")
            for line in _options(offer):
                say(f"      {line}")
    return 0


def _options(offer: Any) -> list[str]:
    """Return the options of an offer, or the settings of a kind, each with type and default."""
    if offer.role != "kind":
        return [str(parameter) for parameter in offer.options.values()]
    from r1trl.config.kinds import describe_settings

    return describe_settings(offer.target)


def _check(arguments: argparse.Namespace) -> int:
    from r1trl.trust.check import check, results_table

    results = check(arguments.plugin, arguments.options, arguments.rows)
    say(results_table(results))
    return 0 if all(result.passed for result in results) else 1


def _rescore(arguments: argparse.Namespace) -> int:
    from r1trl.rescore.rescore import rescore

    table, file = rescore(arguments.path, arguments.overrides)
    say(f"{table}\n\n{file}")
    return 0


def _report(arguments: argparse.Namespace) -> int:
    from r1trl.report.page import write_page
    from r1trl.report.report import write_report
    from r1trl.report.state import run_problem

    if problem := run_problem(arguments.run):
        raise ConfigError([problem])
    say(write_report(arguments.run))
    write_page(arguments.run)
    say(f"\n{arguments.run / 'report.html'}")
    return 0


def _compare(arguments: argparse.Namespace) -> int:
    from r1trl.compare.comparison import compared
    from r1trl.compare.page import FILE, check_out, tables, write_comparison

    out = arguments.out or arguments.runs[0].resolve().parent / FILE
    check_out(out)
    comparison = compared(arguments.runs)
    write_comparison(comparison, out)
    say(f"{tables(comparison)}\n\n{out}")
    return 0


def _doctor(arguments: argparse.Namespace) -> int:
    from r1trl.doctor.doctor import doctor

    return doctor(arguments.overrides, arguments.config_dir)


COMMANDS = {
    "run": _run,
    "submit": _submit,
    "plan": _plan,
    "doctor": _doctor,
    "plugins": _plugins,
    "check": _check,
    "rescore": _rescore,
    "report": _report,
    "compare": _compare,
}
