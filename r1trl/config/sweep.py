"""A sweep: `key=a,b` on the command line into one list of overrides per combination."""

import itertools
import re

from r1trl.errors import ConfigError


def sweep(overrides: list[str]) -> list[list[str]]:
    """Expand `key=a,b` into one list of overrides per combination, each with a name of its own."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        parsed = OverridesParser.create().parse_overrides(overrides)
    except HydraException as error:
        raise ConfigError([" ".join(str(error).split())]) from error
    choices: list[list[str]] = []
    for override in parsed:
        if override.is_sweep_override():
            key = override.get_key_element()
            choices.append([f"{key}={v}" for v in override.sweep_string_iterator()])
        else:
            choices.append([str(override.input_line)])
    combinations = [list(c) for c in itertools.product(*choices)]
    swept = [i for i, override in enumerate(parsed) if override.is_sweep_override()]
    return [_named(combination, swept) for combination in combinations]


def _short(override: str) -> str:
    """Return `key=value` with the last part of the key, fit for the name of a folder."""
    key, _, value = override.partition("=")
    return re.sub(r"[^\w.=,+-]", "-", f"{key.rpartition('.')[2].lstrip('+')}={value}")


def _named(combination: list[str], swept: list[int]) -> list[str]:
    if not swept:
        return combination
    tail = ",".join(_short(combination[i]) for i in swept)
    name = next((o.partition("=")[2] for o in combination if o.startswith("name=")), None)
    rest = [o for o in combination if not o.startswith("name=")]
    recipe = next((o.partition("=")[2] for o in combination if o.startswith("recipe=")), "run")
    return [*rest, f"name='{name or recipe}-{tail}'"]
