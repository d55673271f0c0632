"""Whether installed packages fit together, as they themselves say."""

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata, requires, version

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from r1trl.doctor.finding import Finding

ROOT = "r1trl"
# Extras are used by some: r1trl's, and those of TRL, which knows the versions that its trainers can
# use. These two are not for users.
WITH_EXTRAS, OF_DEVELOPERS = (ROOT, "trl"), ("dev", "test", "quality")
MISSING = "it is not installed"


def package_findings() -> Iterator[Finding]:
    """Yield what does not fit, and how many packages do, from r1trl's needs to those of theirs."""
    seen, wrong = dict[str, str](), 0
    for text in _broken((ROOT, frozenset()), seen):
        wrong += 1
        yield Finding("wrong", "packages", f"{text}; pip install --upgrade {ROOT} brings what fits")
    for name in WITH_EXTRAS:
        for text in _extras(name):
            yield Finding("note", "packages", text)
    if not wrong:
        yield Finding("ok", "packages", f"{len(seen)} packages that r1trl needs fit together")


def _broken(first: tuple[str, frozenset[str]], seen: dict[str, str]) -> Iterator[str]:
    """Yield what packages need and do not have; `seen` gets the versions of all."""
    left, done = [first], set()
    while left:
        name, extras = left.pop()
        if (name, extras) in done:
            continue
        done.add((name, extras))
        seen[name] = version(name)
        for need in map(Requirement, requires(name) or ()):
            if not any(_holds(need, extra) for extra in ("", *extras)):
                continue
            problem = _problem(need)
            if problem:
                yield f"{name} {seen[name]} needs {need.name}{need.specifier}, and {problem}"
            if problem != MISSING:
                left.append((canonicalize_name(need.name), frozenset(need.extras)))


def _extras(name: str) -> Iterator[str]:
    """Yield the packages that are not those that an extra wants, of the extras that are there."""
    told = dict[str, None]()
    for extra in metadata(name).get_all("Provides-Extra") or ():
        needs = [] if extra in OF_DEVELOPERS else _needs_of(name, extra)
        if not all(map(_is_there, needs)):
            continue
        for need in needs:
            if problem := _problem(need):
                told[
                    f"{name} uses {need.name}{need.specifier}, where it is used, and {problem}"
                ] = None
    yield from told


def _needs_of(name: str, extra: str) -> list[Requirement]:
    """Return what a package needs for an extra, and does not need without it."""
    needs = map(Requirement, requires(name) or ())
    return [need for need in needs if not _holds(need, "") and _holds(need, extra)]


def _is_there(need: Requirement) -> bool:
    """Return whether a package is installed, of any version, and what its extras need."""
    if _problem(need) == MISSING:
        return False
    return all(_is_there(each) for extra in need.extras for each in _needs_of(need.name, extra))


def _holds(need: Requirement, extra: str) -> bool:
    return need.marker is None or need.marker.evaluate({"extra": extra})


def _problem(need: Requirement) -> str | None:
    """Return why what is installed is not what is needed; None if it is."""
    try:
        has = version(need.name)
    except PackageNotFoundError:
        return MISSING
    return None if need.specifier.contains(has, prereleases=True) else f"{has} is installed"
