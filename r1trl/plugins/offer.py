"""Something a plugin offers by name: the callable, and its options as its signature has them."""

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast


@dataclass(frozen=True)
class Offer:
    """Something a plugin offers by name."""

    kind: str
    name: str
    plugin: str
    what: Callable[..., Any]

    @property
    def options(self) -> dict[str, inspect.Parameter]:
        """Return the options: the keyword-only parameters."""
        return {
            name: parameter
            for name, parameter in inspect.signature(self.what).parameters.items()
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY
        }

    def option_types(self) -> dict[str, Any]:
        """Return the type of each option; what has no readable annotation is Any."""
        target = self.what.__init__ if inspect.isclass(self.what) else self.what
        names = getattr(getattr(target, "function", target), "__globals__", {})
        return {name: _read_type(p.annotation, names) for name, p in self.options.items()}

    def options_of(self, wanted: Any) -> list[str]:
        """Return the options of a type, or of that type or None."""
        types = self.option_types().items()
        return [n for n, t in types if t is wanted or wanted in getattr(t, "__args__", ())]

    @property
    def summary(self) -> str:
        """Return the first line of the docstring."""
        return (inspect.getdoc(self.what) or "").partition("\n")[0]

    def bind(self, options: Mapping[str, Any]) -> Callable[..., Any]:
        """Return the callable with its options filled in; a class is made into an object."""
        what: Any = self.what
        if inspect.isclass(what):
            return cast(Callable[..., Any], what(**options))
        return functools.partial(self.what, **options)


def _read_type(annotation: Any, names: Mapping[str, Any]) -> Any:
    """Return an annotation as a type, also where it is written as text."""
    if annotation is inspect.Parameter.empty:
        return Any
    if not isinstance(annotation, str):
        return annotation
    try:
        read = eval(annotation, dict(names))  # noqa: S307 - the plugin's own, already imported
    except (NameError, AttributeError, SyntaxError, TypeError):
        return Any
    return _read_type(read, names)  # quoted, and text anyway: twice a text
