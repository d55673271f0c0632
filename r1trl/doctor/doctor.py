"""The command: the folder, the nodes, what each of them has, then all ranks together.

Each finding is printed as it is found.
"""

import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Any

from r1trl.doctor.asked import Asked, asked_of, composed, launches
from r1trl.doctor.exchange import exchange_findings
from r1trl.doctor.finding import Finding
from r1trl.doctor.machine import END, written
from r1trl.errors import R1trlError
from r1trl.launch.nodes import CLOCKS, Nodes, hear, other_versions, unreached, unshared
from r1trl.launch.probe import MARK, Node
from r1trl.process.terminal import say, short
from r1trl.process.texts import printable
from r1trl.storage.room import disk_problem, full

LOOK_SECONDS = 130.0  # of all nodes; each ends itself before
BEFORE_RANKS = ("versions", "folder", "network", "gpus")  # wrong there: no rank need be started
MEASURED = re.compile(r"\d+\.\d(?= of | [KMGT]iB| s\b)")


def doctor(overrides: Sequence[str], config_dir: Path | None) -> int:
    """Look at the nodes of each launch; print what is found; return 1 if something is wrong.

    Raises ConfigError if the overrides are no run, and no launch.
    """
    run, wrong = composed(overrides, config_dir), False
    for note in run.notes:
        say(f"note: {note}", error=True)
    for key, launch in launches(run.config).items():
        say(f"{key}: {_described(launch)}")
        for finding in examine(launch, asked_of(run.config, launch)):
            say(finding.line)
            wrong |= finding.state == "wrong"
    return int(wrong)


def _described(launch: Mapping[str, Any]) -> str:
    return f"how={launch['how']}, nodes={launch['nodes']}, processes={launch['processes']}"


def examine(launch: Mapping[str, Any], asked: Asked) -> Iterator[Finding]:
    """Yield what is found about a launch, the quickest first; each part bounds its own time."""
    with _folder(Path(asked.runs_dir)) as (folder, problem):
        if folder is None:
            yield Finding("wrong", "folder", problem)
            return
        began = time.monotonic()
        try:
            nodes = Nodes({}).ask(folder, launch)
        except R1trlError as error:
            yield Finding("wrong", "nodes", str(error))
            return
        seconds, hosts = time.monotonic() - began, ", ".join(node.host for node in nodes)
        yield Finding("ok", "nodes", f"{len(nodes)} in {seconds:.1f} s: {hosts}")
        wrong = False
        for finding in chain(_together(nodes, folder.parent), _of_each(launch, asked, nodes)):
            yield finding
            wrong |= finding.state == "wrong" and finding.what in BEFORE_RANKS
        if not wrong:
            yield from exchange_findings(launch, folder)


@contextmanager
def _folder(runs_dir: Path) -> Iterator[tuple[Path | None, str]]:
    """Make a folder among the runs for a while; None, and the reason, if that is not possible."""
    made, folder = not runs_dir.exists(), None
    try:
        runs_dir.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".doctor-", dir=runs_dir))
        problem = full(folder) or ""
    except OSError as error:
        problem = disk_problem(error, runs_dir) or str(error)
    try:
        yield (None, f"runs_dir: {problem}") if problem else (folder, "")
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):
            if made:
                runs_dir.rmdir()


def _together(nodes: Sequence[Node], runs_dir: Path) -> Iterator[Finding]:
    """Yield what the nodes have in common, or not."""
    yield from _line("versions", other_versions(nodes), _versions(nodes[0]))
    seconds = max(node.seconds for node in nodes)
    seen = f"{runs_dir}: each of {len(nodes)} nodes sees what others write within {seconds:.1f} s"
    alone = f"{runs_dir}: can be written"
    yield from _line("folder", unshared(nodes, runs_dir), seen if len(nodes) > 1 else alone)
    if len(nodes) == 1:
        return
    apart = max(node.clock for node in nodes) - min(node.clock for node in nodes)
    text = f"apart by {apart:.1f} s at most"
    late = apart > CLOCKS
    advice = "; certificates and logs need them equal: start chrony or ntpd" if late else ""
    yield Finding("note" if late else "ok", "clocks", text + advice)
    reached = {f"{node.address}" for node in nodes[1:]}
    text = f"{nodes[0].host} is reached by all at {', '.join(sorted(reached))}"
    yield from _line("network", unreached(nodes), text)


def _line(what: str, problems: Iterator[str], fine: str) -> Iterator[Finding]:
    """Yield each problem, or the one line of what is fine."""
    wrong = [Finding("wrong", what, problem) for problem in problems]
    yield from wrong or [Finding("ok", what, fine)]


def _versions(node: Node) -> str:
    return ", ".join(f"{name} {version}" for name, version in node.versions.items())


def _of_each(launch: Mapping[str, Any], asked: Asked, nodes: Sequence[Node]) -> Iterator[Finding]:
    """Yield what each node has; what several say is one line."""
    own = [sys.executable, "-m", "r1trl.doctor.machine", str(launch["nodes"]), written(asked)]
    try:
        told, said = hear(launch, own, {}, LOOK_SECONDS)
    except R1trlError as error:
        yield Finding("wrong", "machine", str(error))
        return
    found = [(host, Finding(*finding)) for host, *finding in told]
    yield from merged([each for each in found if each[1].what != END], len(nodes))
    if missing := len(nodes) - sum(finding.what == END for _, finding in found):
        text = f"{missing} of {len(nodes)} nodes have not looked to the end{_last(said)}"
        yield Finding("wrong", "machine", text)


def merged(found: Sequence[tuple[str, Finding]], nodes: int) -> Iterator[Finding]:
    """Yield what nodes have found; what differs in nothing but measured numbers is one finding.

    `found` is (host, finding); the finding names the hosts, unless all of the nodes have it.
    """
    alike: dict[Finding, list[tuple[str, str]]] = {}
    for host, finding in found:
        key = finding._replace(text=MEASURED.sub("", finding.text))
        alike.setdefault(key, []).append((host, finding.text))
    for finding, each in alike.items():
        text = _with_ranges([text for _, text in each])
        hosts = ", ".join(sorted(host for host, _ in each))
        yield finding._replace(text=text if len(each) == nodes else f"{hosts}: {text}")


def _with_ranges(texts: Sequence[str]) -> str:
    """Return texts that differ in measured numbers as one, such as "2.0–3.5 GiB"."""
    numbers = zip(*(map(float, MEASURED.findall(text)) for text in texts), strict=True)
    ranges = (f"{min(some)}–{max(some)}" if len({*some}) > 1 else f"{some[0]}" for some in numbers)
    return MEASURED.sub(lambda _: next(ranges), texts[0])


def _last(said: str) -> str:
    """Return the last that was said and is no finding, after a colon."""
    lines = [line for line in said.splitlines() if line.strip() and MARK not in line]
    return f": {printable(short(lines[-1], 300))}" if lines else ""
