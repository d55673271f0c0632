"""What has been made: `report`, `compare`, `rescore`, and `eval`, which asks a model anew."""

import argparse
from pathlib import Path
from typing import Any

from r1trl.commands.planned import plans, print_notes
from r1trl.commands.words import add_command, add_overrides
from r1trl.errors import ConfigError
from r1trl.process.terminal import say

RESCORE_EXAMPLES = """\
  r1trl rescore runs/demo/stages/scoreboard rewards.accuracy.answer=last_number
  r1trl rescore runs/demo/stages/zero_samples 'rewards={accuracy: {answer: answer_tag}}'
  r1trl rescore runs/demo/stages/zero_samples 'plugins.load=[brevity.py]' 'rewards.brevity={}'
  r1trl rescore completions.jsonl 'rewards={accuracy: {answer: boxed}, think_format: {weight: 0.5}}'
"""
EVAL_EXAMPLES = """\
  r1trl eval Qwen/Qwen2.5-0.5B-Instruct gsm8k-test scale=gpu1
  r1trl eval my/model math-500 aime-2024 scale=gpu8     runs/eval-model-math-500-aime-2024
  r1trl eval tiny scale=tiny                            a name of conf/model; the scale's benchmarks
  r1trl eval runs/demo/stages/zero held_out             one more stage of the run demo
"""


def add_to(commands: Any) -> None:
    """Add the commands with their arguments."""
    text = "score saved completions again with other rewards, without a model"
    rescore = add_command(commands, "rescore", text, _rescore, RESCORE_EXAMPLES)
    rescore.add_argument(
        "path",
        type=Path,
        metavar="FOLDER|FILE",
        help="a stage's folder, with a rollouts.parquet, or any .jsonl or .parquet file with a "
        "column completion and those that the rewards read",
    )
    rescore.add_argument(
        "overrides",
        nargs="*",
        metavar="key=value",
        help="rewards=…, rewards.<name>.<option>=…, scoring.…, plugins.load=[…]",
    )
    text = "ask a model the questions of benchmarks, and print the scoreboard"
    evaluate = add_command(commands, "eval", text, _eval, EVAL_EXAMPLES)
    evaluate.add_argument(
        "model",
        metavar="MODEL",
        help="a folder, a Hub id, a name in conf/model, or the folder of a run's stage",
    )
    add_overrides(evaluate, "Hydra overrides; a word without = is a benchmark")
    report = add_command(commands, "report", "write the report of a run", _report)
    report.add_argument("run", type=Path, help="the run's folder, such as runs/demo")
    text = "compare runs: write a page with their settings, scores and curves; print tables"
    compare = add_command(commands, "compare", text, _compare)
    compare.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="a run's folder")
    text = "the page; without it compare.html beside the first run"
    compare.add_argument("--out", type=Path, metavar="FILE", help=text)


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


def _eval(arguments: argparse.Namespace) -> int:
    from r1trl.eval.asked import question
    from r1trl.eval.of_stage import plan_of_stage
    from r1trl.eval.own_run import run_overrides
    from r1trl.sweep.sweep import run_all

    asked = question(arguments.model, arguments.overrides, arguments.config_dir)
    if asked.stage is not None:
        plan = plan_of_stage(asked, asked.stage)
        print_notes(plan.notes)
        return run_all([(plan, None)])
    arguments.overrides, arguments.multirun = run_overrides(asked), False
    return run_all(plans(arguments))
