"""A transition: what happens when a stage has ended."""

from typing import Any

import r1trl


def newname(result: r1trl.StageResult, *, file: str = "newname.txt") -> r1trl.StageResult:
    """Write the stage's metrics into a file of its folder, one per line.

    A changed copy of the result, dataclasses.replace(result, …), hands over something else; its
    `stop` is a reason to end the run.
    """
    lines = [f"{name}: {value:.6g}" for name, value in sorted(result.metrics.items())]
    with r1trl.new_file(result.folder / file) as part:
        part.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return result


@r1trl.hookimpl
def r1trl_transitions() -> dict[str, Any]:
    """Offer `newname`."""
    return {"newname": newname}
