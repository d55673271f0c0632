"""Checking the options of what a plugin offers against the signature of the offer."""

import inspect
from collections.abc import Mapping
from typing import Any

from r1trl.config.values import convert
from r1trl.errors import suggest
from r1trl.plugins.offer import Offer
from r1trl.types import Benchmarks


def check_options(offer: Offer, options: Mapping[str, Any], key: str) -> list[str]:
    """Check options against the offer's keyword-only parameters; return the problems.

    `key` is the config key that the options stand under.
    """
    known, problems = offer.option_types(), []
    label = f"{offer.role} '{offer.name}'"
    for name, value in options.items():
        if name not in known:
            there = ", ".join(known) or "none"
            hint = suggest(name, known)
            problems.append(f"{key}: {label} has no option '{name}'{hint}; its options: {there}")
            continue
        try:
            # Of benchmarks a config has the names.
            convert(
                value,
                list[str] | None if name in offer.options_of_type(Benchmarks) else known[name],
            )
        except ValueError as error:
            problems.append(f"{key}.{name}: {error}")
    for name, parameter in offer.options.items():
        if parameter.default is inspect.Parameter.empty and name not in options:
            problems.append(f"{key}: {label} needs the option '{name}'")
    return problems
