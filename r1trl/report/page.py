"""report.html: one file that needs nothing else, written while a run goes on.

The texts in it are a model's, so the page may run nothing but its own scripts, which a
Content-Security-Policy names by their digests, and load nothing at all. Data are JSON, or JSON that
is compressed, in elements that are not run; the scripts show them as text.
"""

import base64
import hashlib
import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from r1trl.process.terminal import say
from r1trl.process.texts import printable
from r1trl.report.charts import bundle, charts
from r1trl.report.data import Kept, PageData, as_json, page_data
from r1trl.storage.writing import replace_text

HERE = Path(__file__).parent
FILE = "report.html"
PERIOD = 50.0  # seconds between two writings while nothing else asks for one
SETTLED = 1.0  # seconds after a stage has ended, in which the next one begins
SHARED = ("elements.js", "drawing.js", "frame.js", "scores.js", "curves.js")
SCRIPTS = (*SHARED, "completions.js", "page.js")


def write_page(folder: Path, kept: Kept | None = None) -> None:
    """Write report.html of a run as it is now; `kept` is as in `page_data`.

    Raises OSError if it cannot be written, ConfigError if a stage's file cannot be read.
    """
    replace_text(folder / FILE, page_of(page_data(folder, kept), scripts(SCRIPTS)))


def scripts(names: Sequence[str]) -> list[Path]:
    """Return the files of some scripts of this folder."""
    return [HERE / name for name in names]


def page_of(data: PageData, scripts: Sequence[Path]) -> str:
    """Return a page: what it shows, and the scripts that show it; `overview` has its name."""
    elements = [
        f'<script type="application/json" id="{name}">{as_json(value)}</script>'
        for name, value in (("overview", data.overview), ("charts", charts()))
    ]
    elements += [
        f'<script type="application/gzip" data-block="{_attribute(name)}">{block}</script>'
        for name, block in data.blocks.items()
    ]
    texts = [bundle(), *(script.read_text(encoding="utf-8") for script in scripts)]
    return _page(data.overview["name"], "\n".join(elements), texts)


def _page(title: str, data: str, scripts: Sequence[str]) -> str:
    """Return the page with the elements of its data."""
    style = _own("page.css")
    sources = {
        "default-src": "'none'",
        "script-src": " ".join(map(_digest, scripts)),
        "style-src": _digest(style),
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    filled = {
        "policy": "; ".join(f"{name} {source}" for name, source in sources.items()),
        "title": _attribute(title),
        "style": f"<style>{style}</style>",
        "data": data,
        "scripts": "\n".join(f"<script>{script}</script>" for script in scripts),
    }
    return re.sub(r"\{(\w+)\}", lambda found: filled[found[1]], _own("page.html"))


def _own(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    """Return the source of a script or style for a Content-Security-Policy."""
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _attribute(text: str) -> str:
    """Return a text for HTML, where it is read by nobody but `dataset` and the title."""
    return "".join(c if c.isalnum() or c in " _-.:" else f"&#{ord(c)};" for c in printable(text))


class LivePage:
    """Keeps report.html of a run up to date while the block runs, in a thread of its own.

    It is written at the beginning, when `renew` asks for it, every minute, and at the end. A run
    never fails by it: what cannot be written is said once.
    """

    def __init__(self, folder: Path, period: float = PERIOD) -> None:
        self.folder, self.period = folder, period
        self._kept: Kept = {}
        self.wanted = True  # False: the command ends at once, and the page stays as it is
        self._asked, self._over, self._told = threading.Event(), threading.Event(), False
        self._thread = threading.Thread(target=self._run, name="r1trl-report", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._asked.set()
        if self.wanted:
            self._thread.join()
        if self.wanted and error[0] is None:
            self._write()

    def renew(self) -> None:
        """Ask for the page to be written, once the next stage has begun; returns at once."""
        self._asked.set()

    def _run(self) -> None:
        while not self._over.is_set():
            self._write()
            if self._asked.wait(self.period):
                self._over.wait(SETTLED)
            self._asked.clear()

    def _write(self) -> None:
        try:
            write_page(self.folder, self._kept)
        except Exception as error:  # noqa: BLE001 - the run goes on, and what was the matter is said
            if not self._told:
                self._told = True
                kind = "" if isinstance(error, OSError) else f"{type(error).__name__}: "
                say(f"{self.folder / FILE} cannot be written: {kind}{error}", error=True)
