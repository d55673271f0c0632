"""The first piece of work of a run: the preflight, in the warm process, before any stage.

The driver and the fork share files in the run's folder preflight/: settings.yaml in, findings.json
out.
"""

import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from r1trl.errors import ConfigError, R1trlError
from r1trl.launch.workers import Workers
from r1trl.live.run import PREFLIGHT
from r1trl.plan.plan import Plan
from r1trl.plan.saved import read_plan, write_settings
from r1trl.process.environment import hide
from r1trl.process.terminal import say, short
from r1trl.process.texts import printable
from r1trl.stage.devices import NO_GPU
from r1trl.stage.logs import last_lines
from r1trl.storage.writing import write_text

FINDINGS = "findings.json"
COLOUR, PLAIN = ("\x1b[32m", "\x1b[0m"), ("⟦", "⟧")
NOTHING_STARTED = "nothing was started; preflight=false starts all the same"
FULL_SCORE = (
    "a reward of yours that need not give a right answer its full score declares full_score=None"
)
LONGEST = 600  # characters of a piece of a row that are shown


def check_first(plan: Plan, workers: Workers) -> None:
    """Preflight the stages of a run that are to do; print notes.

    Raises ConfigError with what is wrong, and R1trlError if the preflight itself fails.
    """
    if not plan.config.preflight:
        return
    folder = plan.folder / PREFLIGHT
    write_settings(plan, folder)
    (folder / FINDINGS).unlink(missing_ok=True)
    (folder / "log.txt").unlink(missing_ok=True)
    say("preflight …")
    status = workers.call("r1trl.rehearsal.first:preflight_run", folder, {})
    if workers.leaving.asked():
        return
    if status != 0 or not (folder / FINDINGS).exists():
        raise R1trlError(
            f"the preflight failed (exit status {status}); preflight=false leaves it out; last "
            f"lines of {folder / 'log.txt'}:\n{last_lines(folder)}"
        )
    found = json.loads((folder / FINDINGS).read_text(encoding="utf-8"))
    print(shown(found["rows"], sys.stdout.isatty()), end="")
    for each in found["findings"]:
        if not each["wrong"]:
            say(f"note: {each['text']}")
    wrong = [each for each in found["findings"] if each["wrong"]]
    if wrong:
        hints = [FULL_SCORE] if any(each["misses_full_score"] for each in wrong) else []
        raise ConfigError([*(each["text"] for each in wrong), *hints, NOTHING_STARTED])


def preflight_run(folder: Path) -> int:
    """Preflight the plan in a folder; write findings.json; return 0."""
    os.environ.update(NO_GPU)
    from r1trl.rehearsal.training_rows import training_rows
    from r1trl.run.quiet import quiet_libraries
    from r1trl.trust.preflight import preflight

    quiet_libraries()
    plan = read_plan(folder)
    plan = replace(plan, stages=[stage for stage in plan.stages if not stage.finished])
    rows, findings = training_rows(plan, folder)
    shutil.rmtree(folder / "models", ignore_errors=True)
    findings += preflight(plan)
    content = {"findings": [asdict(f) for f in findings], "rows": [asdict(row) for row in rows]}
    write_text(folder / FINDINGS, json.dumps(content, ensure_ascii=False))
    return 0


def shown(rows: Sequence[dict[str, object]], colours: bool) -> str:
    """Return rows as the model reads them; what is in the loss is green, or in brackets."""
    start, end = COLOUR if colours else PLAIN
    text = ""
    for row in rows:
        pieces: list[tuple[str, bool]] = row["pieces"]  # type: ignore[assignment]
        loss = f"{start}loss{end}"
        made = " (made up, as an earlier stage has yet to draw it)" if row.get("made_up") else ""
        text += f"{row['key']}: a row as the model reads it in training{made}, {loss} marked:\n"
        text += "".join(f"{start}{_cut(t)}{end}" if on else _cut(t) for t, on in pieces) + "\n\n"
    return text


def _cut(text: str) -> str:
    return printable(short(hide(text), LONGEST))
