"""Something a plugin offers by name: its target, its options by signature, its description."""

import functools
import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from r1trl.description import Description

UNDESCRIBED = Description()
OWN_NAMES = ("reward", "variant")  # roles whose entries in a config may have a name of their own
OF_TRAINER = ("trainer_state", "log_extra", "log_metric")  # what TRL gives a reward of its trainer


def description_of(target: Any) -> Description:
    """Return what `r1trl.describe` or `r1trl.verifier` attached to a target; empty if nothing."""
    return cast(Description, getattr(target, "__r1trl__", UNDESCRIBED))


def offered_name(role: str, name: str, options: Any) -> str:
    """Return the name of the offer that an entry of a config picks, whose key is `name`.

    It is that key, or of OWN_NAMES what stands in the options under the role: `reward: accuracy`.
    """
    named = isinstance(options, Mapping) and role in OWN_NAMES
    return str(options.get(role) or name) if named else name


@dataclass(frozen=True)
class Offer:
    """Something a plugin offers: `role` is one of `types.ROLES`, `target` the callable or Kind."""

    role: str
    name: str
    plugin: str
    target: Any

    @property
    def description(self) -> Description:
        """Return the description of the target."""
        return description_of(self.target)

    @property
    def options(self) -> dict[str, inspect.Parameter]:
        """Return the keyword-only parameters but OF_TRAINER, by name. A kind has none."""
        if not callable(self.target):
            return {}
        return {
            name: parameter
            for name, parameter in inspect.signature(self.target).parameters.items()
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY and name not in OF_TRAINER
        }

    @property
    def positional(self) -> list[str]:
        """Return the positional parameters: what it is called with, or columns of a reward."""
        if not callable(self.target):
            return []
        parameters = inspect.signature(self.target).parameters.values()
        return [
            p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        ]

    def option_types(self) -> dict[str, Any]:
        """Return the type of each option; Any if it has no annotation or one that is unknown."""
        target = self.target.__init__ if inspect.isclass(self.target) else self.target
        function = getattr(target, "function", target)
        names = getattr(function, "__globals__", {})
        return {name: resolve_type(p.annotation, names) for name, p in self.options.items()}

    def options_of_type(self, wanted: Any) -> list[str]:
        """Return the options of a type, or of that type or None."""
        types = self.option_types().items()
        return [n for n, t in types if t is wanted or wanted in typing.get_args(t)]

    @property
    def summary(self) -> str:
        """Return the first line of the docstring."""
        described = self.target if callable(self.target) else self.target.run
        return (inspect.getdoc(described) or "").partition("\n")[0]

    def bind(self, options: Mapping[str, Any]) -> Callable[..., Any]:
        """Return the callable with its options filled in; a class is instantiated."""
        if inspect.isclass(self.target):
            return cast(Callable[..., Any], self.target(**options))
        return functools.partial(self.target, **options)


def resolve_type(annotation: Any, names: Mapping[str, Any]) -> Any:
    """Return an annotation as a type, also if it is a string; Any if it cannot be resolved.

    `names` are the globals of the module that the annotation stands in.
    """
    if annotation is inspect.Parameter.empty:
        return Any

    class Annotated:
        __annotations__ = {"option": annotation}

    try:
        resolved = typing.get_type_hints(Annotated, globalns=dict(names))["option"]
    except (NameError, AttributeError, SyntaxError, TypeError):
        return Any
    return resolve_type(resolved, names) if isinstance(resolved, str) else resolved


def missing_requirements(offer: Offer, options: Mapping[str, Any], key: str) -> list[str]:
    """Return what this machine lacks for an offer that can say so."""
    check = offer.description.missing_requirements
    try:
        missing = check(**options) if check else None
    except Exception as error:  # noqa: BLE001 - whatever a plugin raises is the reason
        missing = f"its missing_requirements failed: {type(error).__name__}: {error}"
    return [f"{key}: {missing}"] if missing else []
