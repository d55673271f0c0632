"""`r1trl new`: a plugin or a recipe to start from, with its test, and what to type next.

Each folder in templates/ is one of KINDS and works as it is: its plugin is called NAME. A copy has
another name in its place, in the files and in their names.
"""

import keyword
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from r1trl.errors import ConfigError
from r1trl.types import ROLES

TEMPLATES = Path(__file__).parent / "templates"
KINDS = (*ROLES, "recipe")
NAME, CLASS = "newname", "Newname"
COMMANDS = "commands.txt"  # what to type next


def begin(what: str, name: str, folder: Path) -> str:
    """Write the files of a plugin or recipe into a folder; return what they are, and what to type.

    Raises ConfigError if the name is not possible or taken, or a file is there already.
    """
    problems = list(_problems_of_name(what, name, folder))
    files = {folder / _named(str(path), name): text for path, text in _template(what).items()}
    problems += [
        f"{path.relative_to(folder)}: is there already; choose another name, or remove it"
        for path in files
        if path.exists()
    ]
    if problems:
        raise ConfigError(problems)
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_named(text, name), encoding="utf-8")
    written = [f"wrote {path.relative_to(folder)}" for path in files]
    return "\n".join([*written, "", "next:", *(f"  {each}" for each in commands_of(what, name))])


def commands_of(what: str, name: str) -> list[str]:
    """Return the commands to type after `r1trl new WHAT NAME`, each for a shell."""
    text = (TEMPLATES / what / COMMANDS).read_text(encoding="utf-8")
    return _named(text, name).splitlines()


def _template(what: str) -> dict[Path, str]:
    """Return the texts of a template's files by their paths in it."""
    root = TEMPLATES / what
    files = sorted(path for path in root.rglob("*") if path.suffix in (".py", ".yaml"))
    return {path.relative_to(root): path.read_text(encoding="utf-8") for path in files}


def _named(text: str, name: str) -> str:
    """Return a template's text with the name of the copy in it."""
    class_name = "".join(part.capitalize() for part in name.split("_"))
    return text.replace(NAME, name).replace(CLASS, class_name)


def _problems_of_name(what: str, name: str, folder: Path) -> Iterator[str]:
    """Yield why a name is not possible, or who has it."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        close = re.sub(r"\W+", "_", name.lower()).strip("_")
        better = f", such as {close}" if re.fullmatch(r"[a-z][a-z0-9_]*", close) else ""
        if not keyword.iskeyword(name):
            yield f"{name!r} cannot be a name here; use small letters, digits and _{better}"
        else:
            yield f"{name!r} cannot be a name here: it is a word of Python's own"
        return
    if owner := _owner(what, name):
        yield f"a {what} is called '{name}' already, by {owner}; choose another name"
    elif what != "recipe" and (spec := find_spec(name)) and not _is_in(spec.origin, folder):
        yield f"a module is called '{name}' already ({spec.origin}); choose another name"


def _is_in(file: str | None, folder: Path) -> bool:
    return file is not None and Path(file).parent == folder.resolve()


def _owner(what: str, name: str) -> str:
    """Return who offers something under a name, in words; empty if nobody does."""
    from r1trl.catalog.listing import options_of, place
    from r1trl.config.compose import search_path
    from r1trl.config.kinds import load_plugins

    if what == "recipe":
        file = options_of(search_path((), (), None), what).get(name)
        return str(place(file)) if file else ""
    plugins = load_plugins()
    today = plugins.aliases[what].get(name, name)
    offer = plugins.offers[what].get(today)
    return f"the plugin '{offer.plugin}'" if offer else ""
