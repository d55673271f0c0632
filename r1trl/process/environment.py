"""Values of environment variables, which no file, log, tracker or message of a run may hold.

A config refers to them: `hub_token: ${oc.env:HF_TOKEN}`. Whoever works with the config has the
value; whatever is written has the reference, and each process reads the variable anew. A secret
that somebody typed is put into a variable too, which the run's processes inherit.
"""

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from typing import Any

REFERENCE = re.compile(r"\$\{oc\.env:([^${},]+)\}")
MARK, END = "\ue000", "\ue001"  # around a variable's name in place of its value
OWN = "R1TRL_SECRET_"
LONG = 8  # characters of a secret; what is shorter stands in too many texts
SECRET_VARIABLE = re.compile(rf"(?i){OWN}\w+|.*(token|key|secret|password|passwd|credentials?)")
SECRET_KEY = re.compile(
    r"(?i)(?!(eos|bos|pad|unk|sep|cls|mask)_token$)"
    r"(.*[_-])?(token|api_?key|access_?key|secret(_?key)?|password|passwd|credentials?)"
)
OPAQUE = re.compile(rf"[\w.+/=~-]{{{LONG},}}")
KNOWN = re.compile(r"(hf_|sk-|gh[opsu]_|xox[abp]-|AKIA)[\w-]{8,}|\w+://[^/@\s]*:[^/@\s]+@\S+")


class FromEnvironment(str):
    """A text with the value of a variable in it; `written` is what is written in its place.

    A pickle of it has the reference alone.
    """

    __slots__ = ("written",)
    written: str

    def __new__(cls, value: str, written: str) -> "FromEnvironment":
        """Make one."""
        made = super().__new__(cls, value)
        made.written = written
        return made

    def __reduce__(self) -> tuple[Callable[[str], str], tuple[str]]:
        return resolved_text, (self.written,)


def resolved_text(written: str) -> str:
    """Return a text with the values of variables in place of references; as it is if one is unset.

    What a value has that looks like a reference stays.
    """
    names = REFERENCE.findall(written)
    if not names or not all(name in os.environ for name in names):
        return written
    return FromEnvironment(REFERENCE.sub(lambda found: os.environ[found[1]], written), written)


def resolved(value: Any) -> Any:
    """Return a value that was written, with the values of variables in all of its texts."""
    return _mapped(value, resolved_text)


def unset(value: Any, key: str = "") -> Iterator[str]:
    """Yield a sentence for each variable that a resolved value still refers to, after its key."""
    inner = dict(enumerate(value)) if isinstance(value, list) else value
    for name, each in inner.items() if isinstance(inner, dict) else ():
        yield from unset(each, f"{key}.{name}" if key else str(name))
    if isinstance(value, str):
        for name in REFERENCE.findall("" if isinstance(value, FromEnvironment) else value):
            typed = "; it had a secret that was typed" if name.startswith(OWN) else ""
            yield f"{key}: the environment variable {name} is not set here{typed}"


def plain(value: Any) -> Any:
    """Return a value with its texts as YAML takes them, for a process that needs them as they are.

    What it writes to a file has references to secrets all the same.
    """
    return _mapped(value, str)


def masked(value: Any) -> Any:
    """Return a value as it is written: references in place of what is from the environment."""
    return _mapped(value, lambda text: hide(getattr(text, "written", text)))


def hide(text: str) -> str:
    """Return a text with references in place of secrets: values of variables that are named so."""
    for name, value in _secrets():
        text = text.replace(value, f"${{oc.env:{name}}}")
    return str(text)


def _secrets() -> list[tuple[str, str]]:
    """Return the names and values of variables with secrets, the longest first; no paths."""
    found = [
        (name, value)
        for name, value in os.environ.items()
        if len(value) >= LONG and value[0] != "/" and SECRET_VARIABLE.fullmatch(name)
    ]
    return sorted(found, key=lambda each: (-len(each[1]), each[0].startswith(OWN), each[0]))


def values_of(config: Any) -> Any:
    """Return the values of an OmegaConf config, resolved; marked if from the environment."""
    from omegaconf import OmegaConf
    from omegaconf.resolvers import oc

    read = set[str]()

    def recorded(name: str, *default: Any) -> Any:
        read.update([name] if name in os.environ else ())
        return oc.env(name, *default)

    def named(name: str, *default: Any) -> Any:
        return f"{MARK}{name}{END}" if name in os.environ else oc.env(name, *default)

    try:
        OmegaConf.register_new_resolver("oc.env", recorded, replace=True)
        values = OmegaConf.to_container(config, resolve=True)
        OmegaConf.register_new_resolver("oc.env", named, replace=True)
        return _marked(values, config) if read else values
    finally:
        OmegaConf.register_new_resolver("oc.env", oc.env, replace=True)


def _marked(value: Any, node: Any) -> Any:
    """Return a resolved value, marked where the same node has a variable's name in it."""
    if isinstance(value, dict):
        return {name: _marked(each, _child(node, name)) for name, each in value.items()}
    if isinstance(value, list):
        return [_marked(each, _child(node, i)) for i, each in enumerate(value)]
    if isinstance(value, str) and isinstance(node, str) and MARK in node:
        return FromEnvironment(value, re.sub(f"{MARK}(.*?){END}", r"${oc.env:\1}", node))
    return value


def _child(node: Any, name: Any) -> Any:
    """Return what stands in a config under a name; None if a variable chose another place."""
    try:
        return node[name]
    except Exception:  # noqa: BLE001 - OmegaConf's errors, and those of any resolver
        return None


def secrets_kept(value: Any, notes: list[str], key: str = "", name: str = "") -> Any:
    """Return values with each secret in a variable; add a note for one that was typed.

    `name` is the last part of the `key`.
    """
    if isinstance(value, dict):
        return {n: secrets_kept(v, notes, f"{key}.{n}", str(n)) for n, v in value.items()}
    if isinstance(value, list):
        return [secrets_kept(v, notes, f"{key}.{i}", name) for i, v in enumerate(value)]
    if not isinstance(value, str) or not _is_secret(name, value):
        return value
    if isinstance(value, FromEnvironment):
        if not any(map(SECRET_VARIABLE.fullmatch, REFERENCE.findall(value.written))):
            _variable_for(value)
        return value
    notes.append(
        f"{key[1:]}: a secret that was typed may stay in the shell's history; in files and "
        "messages it is masked; better: export it, and give '${oc.env:ITS_VARIABLE}'"
    )
    return FromEnvironment(value, f"${{oc.env:{_variable_for(value)}}}")


def _is_secret(name: str, value: str) -> bool:
    by_name = SECRET_KEY.fullmatch(name) and OPAQUE.fullmatch(value)
    return bool(by_name or KNOWN.fullmatch(value))


def _variable_for(secret: str) -> str:
    """Put a secret into a variable, unless one has it; return its name."""
    for name, value in _secrets():
        if value == secret:
            return name
    name = OWN + hashlib.sha256(secret.encode()).hexdigest()[:8]
    os.environ[name] = str(secret)
    return name


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    """Return a value with all texts in it changed, also in mappings and lists."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {_mapped(name, change): _mapped(each, change) for name, each in value.items()}
    return [_mapped(each, change) for each in value] if isinstance(value, list | tuple) else value
