"""The documents as a static site: `make site`. Sphinx reads this file."""

import posixpath
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
project = "r1trl"
extensions = ["myst_parser", "sphinx_copybutton"]
html_theme = "furo"  # light and dark, for desks and phones, without anything from elsewhere
html_title = "r1trl"
html_copy_source = False
copybutton_prompt_text = "$ "
myst_heading_anchors = 4
pygments_style = "default"

# Pages that lie elsewhere: a page of the site says in its first line which file it shows.
SHOWN = re.compile(r"<!-- shows (\S+) -->\n")
PAGES = {
    found[1]: page.name
    for page in (ROOT / "docs").glob("*.md")
    if (found := SHOWN.match(page.read_text(encoding="utf-8")))
}
LINK = re.compile(r"(!?)\[([^\]]+)\]\((?!https?:)([^)#\s]+)(#[\w-]+)?\)")


def show(app: Any, page: str, source: list[str]) -> None:
    """Put in the file that a page shows, and point links to pages; of others the text stays."""
    shown = SHOWN.match(source[0])
    text = source[0]
    if shown:
        text = (ROOT / shown[1]).read_text(encoding="utf-8") + text[shown.end() :]
    folder = posixpath.dirname(shown[1] if shown else f"docs/{page}.md")

    def linked(match: re.Match[str]) -> str:
        picture, label, target, anchor = match.groups(default="")
        path = posixpath.normpath(posixpath.join(folder, target))
        to = PAGES.get(path) or posixpath.relpath(path, "docs")
        is_page = to.endswith(".md") and not to.startswith("..")
        return f"{picture}[{label}]({to}{anchor})" if picture or is_page else label

    source[0] = LINK.sub(linked, text)


def setup(app: Any) -> None:
    """Have `show` called for every page."""
    app.connect("source-read", show)
