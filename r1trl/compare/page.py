"""The page of a comparison, one file as report.html, and its tables for a terminal."""

from pathlib import Path

from r1trl.compare.comparison import Comparison, comparison_data
from r1trl.compare.spent import total
from r1trl.errors import ConfigError
from r1trl.report.page import SHARED, page_of
from r1trl.report.page import scripts as report_scripts
from r1trl.report.report import score_cell
from r1trl.report.state import FINISHED
from r1trl.report.tables import aligned
from r1trl.storage.writing import replace_text

SCRIPT = Path(__file__).with_name("compare.js")
FILE = "compare.html"
NOTHING = "–"
FEW = 2  # keys that differ: each is a column of the scores; of more, the run's name is


def write_comparison(comparison: Comparison, out: Path) -> None:
    """Write the page of a comparison; raises OSError if it cannot be written."""
    scripts = [*report_scripts(SHARED), SCRIPT]
    replace_text(out, page_of(comparison_data(comparison), scripts))


def check_out(out: Path) -> None:
    """Raise ConfigError if a page cannot be written there."""
    if not out.parent.is_dir():
        raise ConfigError([f"--out: there is no folder {out.parent}"])
    if out.is_dir():
        raise ConfigError([f"--out: {out} is a folder; give the name of a file"])


def tables(comparison: Comparison) -> str:
    """Return the runs, and their scores, as tables for a terminal, with what differs as columns."""
    parts = [runs_table(comparison), scores_table(comparison)]
    return "\n\n".join(aligned(rows) for rows in parts if len(rows) > 1)


def runs_table(comparison: Comparison) -> list[list[str]]:
    """Return a row for each run: what its command says, its state, its seconds and tokens."""
    runs = comparison.runs
    rows = [["run", *runs[0].given, "state", "stages", "seconds", "tokens"]]
    for i, run in enumerate(runs):
        taken = [
            own for each in comparison.spent.values() if (own := each[i]) and not own.elsewhere
        ]
        done = sum(stage.state == FINISHED for stage in run.stages)
        seconds, tokens = (
            NOTHING if (amount := total(values)) is None else f"{amount:,.0f}"
            for values in ([t.seconds for t in taken], [t.tokens for t in taken])
        )
        stages = f"{done} of {len(run.stages)}"
        rows.append([str(run.folder), *run.given.values(), run.state, stages, seconds, tokens])
    return rows


def scores_table(comparison: Comparison) -> list[list[str]]:
    """Return pass@1 with its interval of each model in each run: a column for each benchmark."""
    runs, cells = comparison.runs, dict[tuple[str, int], dict[str, str]]()
    stages = list(dict.fromkeys(board.stage for board in comparison.boards))
    heads = [
        f"{b.stage}: {b.benchmark}" if len(stages) > 1 else b.benchmark for b in comparison.boards
    ]
    for head, board in zip(heads, comparison.boards, strict=True):
        for score in board.scores:
            cell = score_cell(score.metrics, "pass@1")
            cells.setdefault((score.model, score.run), {})[head] = cell
    models = list(dict.fromkeys(model for model, _ in cells))
    few = 0 < len(runs[0].given) <= FEW
    named = list(runs[0].given) if few else ["run"]
    rows = [["pass@1 (95 %)", *named, *heads]]
    for model in models:
        for i, run in enumerate(runs):
            if own := cells.get((model, i)):
                given = list(run.given.values()) if few else [run.name]
                rows.append([model, *given, *(own.get(head, NOTHING) for head in heads)])
    return rows
