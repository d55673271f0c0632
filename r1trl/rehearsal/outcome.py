"""What came of a rehearsal, in words: the plan's table, what was changed, what was noted."""

from r1trl.plan.describe import table
from r1trl.plan.plan import Plan
from r1trl.rehearsal.rehearse import REHEARSED, Rehearsal
from r1trl.report.tables import aligned

MODELS = "models: 2 layers, 64 wide, random weights; their tokenizers, templates and contexts"


def outcome(plan: Plan, done: Rehearsal) -> str:
    """Return the outcome as text for a terminal."""
    rows: list[list[str]] = []
    for row in table(plan):
        name = row[0]
        state = done.states.get(name, "")
        seconds = f"{done.seconds[name]:.1f}" if name in done.seconds else ""
        rows.append([*row[:-1], seconds, state] if rows else [*row[:-1], "seconds", "rehearsal"])
    lines = ["", aligned(rows), "", "changed for the rehearsal:", f"  {MODELS}"]
    lines += [f"  {line}" for line in done.changes]
    lines += [f"note: {note}" for note in done.notes]
    if done.problems:
        lines.append(f"the files of the rehearsal are in {done.folder}")
    elif all(state == REHEARSED for state in done.states.values()):
        lines.append(f"rehearsal: all {len(done.states)} stages work")
    else:
        lines.append("rehearsal: what could be rehearsed works")
    return "\n".join(lines)
