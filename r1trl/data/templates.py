"""Jinja templates over the columns of a row, in a sandbox; null in a row is never written."""

import functools
from collections.abc import Mapping
from typing import Any

OPTIONAL = ("defined", "default")  # a template with one of these words may do without a column


def is_template(text: str) -> bool:
    """Return True if a text is a template, and not the name of a column."""
    return "{{" in text or "{%" in text


def names_in(text: str) -> list[str]:
    """Return the columns that a template, or the name of a column, needs; none if it may not."""
    from jinja2 import meta
    from jinja2.exceptions import TemplateError

    if not is_template(text):
        return [text]
    if any(word in text for word in OPTIONAL):
        return []
    try:
        return sorted(meta.find_undeclared_variables(_environment().parse(text)) - {"row"})
    except TemplateError:
        return []  # reported when it is filled


def fill_or_none(template: str, row: Mapping[str, Any]) -> str | None:
    """Return a template filled with a row's columns; None if it writes a value that is null.

    In it `row` is the whole row. Raises ValueError if the template fails, or names a column that
    the row lacks.
    """
    null = _environment().undefined
    values = {name: null(name=name, exc=_Null) if v is None else v for name, v in row.items()}
    try:
        return str(_compiled(template).render(**values, row=values))
    except _Null:
        return None
    except Exception as error:  # a template may do anything that Jinja's sandbox lets it
        raise ValueError(f"template {template!r}: {error}; columns: {', '.join(row)}") from error


class _Null(Exception):  # noqa: N818 - not an error
    """A template writes, or computes with, a value that is null."""


def _not_null(value: Any) -> Any:
    """Return what a template writes; raise _Null if it is null inside a column, as a content is."""
    if value is None:
        raise _Null
    return value


@functools.cache
def _environment() -> Any:
    """Return Jinja's sandbox, in which null columns may be tested and not be written."""
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class NullOrUndefined(StrictUndefined):
        """A column that is null, or is not there: false, equal to none, and an error to write."""

        def __bool__(self) -> bool:
            if self._undefined_exception is not _Null:
                self._fail_with_undefined_error()
            return False

        def __eq__(self, other: object) -> bool:
            return (not self and other is None) or isinstance(other, NullOrUndefined)

        def __ne__(self, other: object) -> bool:
            return not self == other

        __hash__ = StrictUndefined.__hash__

    environment = ImmutableSandboxedEnvironment(
        undefined=NullOrUndefined, keep_trailing_newline=True, finalize=_not_null
    )
    environment.tests["none"] = lambda value: (
        value is None or (isinstance(value, NullOrUndefined) and not value)
    )
    return environment


@functools.cache
def _compiled(template: str) -> Any:
    return _environment().from_string(template)
