"""The damages that a run is to survive, and what became of each."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from disturbed.disks import disk, remount
from disturbed.equality import differences
from disturbed.faults import CHAIN, DAMAGES, FAULTS, STATES, asked_for, copied, fault
from disturbed.processes import wait_until_gone
from disturbed.runs import SmallRun

# What a command says of itself, or of a stage, with the way on: else it is a library's error.
SENTENCE = re.compile(r"(?:error: |stage \S+ failed: (?=.*the same command continues))(.*)")
PREFLIGHT = "preflight=false"
RECORDS = (
    *("metrics.jsonl", "completions.jsonl", "pass_rates.jsonl"),
    *("scoring.json", "lengths.json", "filters.json"),
)
MOUNTED = ("full", "read-only")  # damages that need a disk of their own


@dataclass(frozen=True)
class Case:
    """A damage to a run in a state: a file of it by its path in the run's folder, and how.

    `how` is in DAMAGES, or what an operation on files meets: an error's name, a full disk.
    """

    state: str
    file: str
    how: str
    operation: str = ""
    nth: int = 1


@dataclass
class Outcome:
    """What became of a damage: exit statuses, what was said, what then was wrong."""

    case: Case
    statuses: list[int]
    said: str
    then: str
    wrong: list[str]


class Damages:
    """Makes the states once, undisturbed and killed, and damages copies of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.whole = self._run("whole")

    def _run(self, name: str) -> SmallRun:
        return SmallRun(self.folder / name, CHAIN, (PREFLIGHT,), FAULTS)

    def prepare(self) -> None:
        """Carry the run out undisturbed, and kill it at each state."""
        record = self.folder / "operations.txt"
        status, output = self.whole.carry_out(R1TRL_RECORD=str(record))
        assert status == 0, output
        for state, where in STATES.items():
            run = self._run(state.replace(" ", "-"))
            status, output = run.carry_out(**asked_for(where))
            assert status == 1, output
            wait_until_gone(run, 60)

    def file_cases(self) -> Iterator[Case]:
        """Yield every file of each state, damaged in every way."""
        seen = set()
        for state in STATES:
            run = self.folder / state.replace(" ", "-") / "runs" / "small"
            for path in sorted((p for p in run.rglob("*") if p.is_file()), key=str, reverse=True):
                name = str(path.relative_to(run))
                finished = name.startswith("stages/") and _is_finished(run, name.split("/")[1])
                key = (finished, _kind_of(name))
                if key in seen or not path.stat().st_size or _is_nobodys(name, finished):
                    continue
                seen.add(key)
                yield from (Case(state, name, how) for how in DAMAGES)

    def write_cases(self) -> Iterator[Case]:
        """Yield every operation on every file of the run that meets a full disk."""
        lines = (self.folder / "operations.txt").read_text().splitlines()
        seen = set()
        for line in lines:
            operation, _, path = line.partition(" ")
            name = path.removeprefix("runs/small/")
            if (
                operation in ("write", "rename")
                and (key := (operation, _kind_of(name))) not in seen
            ):
                seen.add(key)
                yield Case("nothing yet", name, "ENOSPC", operation)
                if operation == "write":
                    yield Case("nothing yet", name, "full", operation)

    def disk_cases(self) -> Iterator[Case]:
        """Yield runs on a disk that is read-only for a while, and folders that vanish."""
        yield from (Case(state, "", "read-only") for state in ("nothing yet", *STATES))
        for file in ("stages/rl/metrics.jsonl", "stages/samples/rollouts.parquet"):
            yield Case("nothing yet", file, "remove", "write")
        yield Case("nothing yet", "stages/rl/metrics.jsonl", "EDQUOT", "write", 3)
        yield Case("nothing yet", "stages/rl/metrics.jsonl", "EROFS", "write", 3)
        yield Case("nothing yet", "stages/rl/metrics.jsonl", "EACCES", "write", 3)
        yield Case("nothing yet", "stages/rl/metrics.jsonl", "EIO", "write", 3)

    def outcome(self, number: int, case: Case) -> Outcome:
        """Damage a copy of a state, and let the same command go on as it says."""
        name = f"case-{number}"
        with disk(self.folder / name, case.how in MOUNTED):
            if case.state in STATES:
                copied(
                    self.folder / case.state.replace(" ", "-") / "runs", self.folder / name / "runs"
                )
            run = self._run(name)
            told = self._damaged(run, case)
            outcome = Outcome(case, [told[0]], *_said(told[1], run, case), [])
            while outcome.statuses[-1] and len(outcome.statuses) < 3:
                more = _advised(outcome, told[1], run)
                told = run.carry_out(*more)
                outcome.statuses.append(told[0])
            outcome.wrong = list(self._wrong(run, case, outcome, told[1]))
        if not outcome.wrong:
            shutil.rmtree(self.folder / name)
        return outcome

    def _damaged(self, run: SmallRun, case: Case) -> tuple[int, str]:
        """Damage a run and continue it; return the status and what was said."""
        if case.how in DAMAGES:
            DAMAGES[case.how](run.run / case.file)
            return run.carry_out()
        if case.how == "read-only":
            remount(run.folder, "ro")
            output = run.carry_out()
            remount(run.folder, "rw")
            return output
        path = f"*{re.sub(r'[0-9a-f]{8}', '*', case.file)}"
        action = "fill" if case.how == "full" else case.how
        ballast = run.folder / "ballast"
        where = asked_for(fault(case.operation, path, case.nth, action))
        told = run.carry_out(**where, R1TRL_BALLAST=str(ballast))
        wait_until_gone(run, 60)
        ballast.unlink(missing_ok=True)
        return told

    def _wrong(self, run: SmallRun, case: Case, outcome: Outcome, output: str) -> Iterator[str]:
        """Yield what is wrong in the end: another result than undamaged, or no sentence."""
        if outcome.statuses[-1]:
            yield f"it ended with {outcome.statuses}: {output[-400:]}"
            return
        if outcome.statuses[0] and not outcome.said:
            yield "it failed without a sentence"
        if not outcome.statuses[0] and case.how not in DAMAGES:
            yield "the fault was not noticed"
        for line in differences(self.whole.run, run.run):
            if not any(f"{name}:" in line or f"{name} differs" in line for name in _own(case)):
                yield line


def _own(case: Case) -> list[str]:
    """Return the records that may differ: what is lost of them is drawn or counted by nobody."""
    return [name for name in RECORDS if case.how in DAMAGES and case.file.endswith(name)]


def _kind_of(name: str) -> str:
    """Return a file's path without its stage and numbers: one stands for all of its kind."""
    return re.sub(r"[0-9a-f]{8,}|\d+", "N", re.sub(r"^stages/\w+/", "stages/", name))


def _is_nobodys(name: str, finished: bool) -> bool:
    """Return True for caches and locks, and for what a finished stage has no more use for."""
    ends = (".lock", ".part", ".workers")
    return ".cache" in name or name.endswith(ends) or (finished and "/checkpoints/" in name)


def _is_finished(run: Path, stage: str) -> bool:
    return (run / "stages" / stage / "result.json").exists()


def _said(output: str, run: SmallRun, case: Case) -> tuple[str, str]:
    """Return the sentence about a damage, and what was done."""
    errors = [found[1] for line in output.splitlines() if (found := SENTENCE.match(line))]
    if errors:
        return errors[0].replace(f"{run.folder}/", ""), "stopped"
    name = Path(case.file).name
    logs = [log.read_text(errors="replace") for log in run.run.glob("stages/*/log.txt")]
    lines = [line for text in (output, *logs) for line in text.splitlines()]
    told = [line for line in lines if name and name in line and "Traceback" not in line]
    return (told[0] if told else ""), "went on"


def _advised(outcome: Outcome, output: str, run: SmallRun) -> list[str]:
    """Return what is added to the command as it was advised; do what else was."""
    if found := re.search(r"redo=([\w-]+)", output):
        outcome.then = f"redo={found[1]}"
        return [outcome.then]
    if found := re.search(r"remove (\S+?)[,;]? to run the stage again", output):
        outcome.then = "removed as advised"
        shutil.rmtree(run.folder / found[1], ignore_errors=True)
    else:
        outcome.then = "the same command"
    return []
