"""A comparison of runs as a value: what its page and its tables are made of."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from r1trl.compare.curves import curves
from r1trl.compare.runs import ComparedRun, read_runs, stage_names
from r1trl.compare.scores import Board, boards
from r1trl.compare.settings import Difference, differences
from r1trl.compare.spent import Spent, spent
from r1trl.report.data import PageData, packed
from r1trl.report.report import columns_shown
from r1trl.report.state import FINISHED, worst


@dataclass(frozen=True)
class Comparison:
    """Runs, in what their configs differ, their scores, and what each stage has taken in each."""

    runs: Sequence[ComparedRun]
    differences: Sequence[Difference]
    boards: Sequence[Board]
    spent: Mapping[str, Sequence[Spent | None]]


def compared(folders: Sequence[Path]) -> Comparison:
    """Compare the runs in some folders; raises ConfigError as `read_runs` does."""
    runs = read_runs(folders)
    taken = {name: spent(runs, name) for name in stage_names(runs)}
    return Comparison(runs, differences(runs), boards(runs), taken)


def comparison_data(comparison: Comparison) -> PageData:
    """Return what the page of a comparison shows: an overview, and the blocks of curves."""
    runs, blocks, stages = comparison.runs, dict[str, str](), list[dict[str, Any]]()
    for name, taken in comparison.spent.items():
        charts, block = curves(runs, name)
        blocks |= {f"curves:{name}": packed(block)} if charts else {}
        state = worst([each.state for each in taken if each])
        cells = [asdict(each) if each else None for each in taken]
        stages.append({"name": name, "state": state, "charts": charts, "spent": cells})
    overview = {
        "name": f"{len(runs)} runs",
        "state": worst([run.state for run in runs]),
        "keys": list(runs[0].given),
        "runs": [_described(run) for run in runs],
        "differences": [asdict(each) for each in comparison.differences],
        "columns": columns_shown(),
        "boards": [board.as_dict() for board in comparison.boards],
        "stages": stages,
    }
    return PageData(overview, blocks)


def _described(run: ComparedRun) -> dict[str, Any]:
    return {
        "name": run.name,
        "folder": str(run.folder),
        "given": list(run.given.values()),
        "state": run.state,
        "finished": sum(stage.state == FINISHED for stage in run.stages),
        "stages": len(run.stages),
        "begun": run.record.begun,
        "machine": run.record.machine,
    }
