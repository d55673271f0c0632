"""From a recipe's name and overrides to a checked config: Hydra composes, the schema checks.

Hydra's own advice for an unknown key is to append it with `+`, which lets a typo pass. Here every
`key=value` may add or override, with or without `+`, and the schema then refuses what it does not
know.
"""

import itertools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from r1trl.config.schema import RunConfig, build
from r1trl.errors import ConfigError, unknown


def conf_folder() -> Path:
    """Return where the shipped configs are: in the installed package, or beside a checkout's."""
    package = Path(__file__).parents[1]
    installed = package / "conf"
    return installed if installed.is_dir() else package.parent / "conf"


def compose(overrides: list[str], own: Path | None) -> tuple[RunConfig, str]:
    """Compose a run; return it and the YAML of what was composed.

    `own` is a folder of the user's recipes and other groups, searched besides the shipped one.
    Raises ConfigError with every key that is wrong.
    """
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    OmegaConf.register_new_resolver("package", _package_folder, replace=True)
    folders = [conf_folder(), *([own.resolve()] if own else [])]
    if own and not own.is_dir():
        raise ConfigError([f"--config-dir: there is no folder {own}"])
    if hidden := _hidden(own):
        raise ConfigError(hidden)
    groups = {p.name for folder in folders for p in folder.iterdir() if p.is_dir()}
    search = [f"hydra.searchpath=[file://{own.resolve()}]"] if own else []
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(conf_folder()), version_base="1.3"):
            wanted = [_add_or_override(o, groups) for o in overrides]
            composed = hydra_compose("config", wanted + search)
            values = OmegaConf.to_container(composed, resolve=True, throw_on_missing=False)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError([_plainly(error, overrides, folders)]) from error
    config, problems = build(RunConfig, _with_sources(cast(dict[str, Any], values)))
    if problems:
        raise ConfigError(problems, config)
    header = "".join(f"# {override}\n" for override in overrides)
    return config, f"# composed from these overrides:\n{header}{OmegaConf.to_yaml(composed)}"


def _add_or_override(override: str, groups: set[str]) -> str:
    """Make `key=value` and `+key=value` add or override; leave groups and deletions alone.

    `dataset=…` is the problems that are trained on.
    """
    key, equals, value = override.partition("=")
    bare = key.lstrip("+")
    if key == "dataset":
        return f"dataset@sources.problems={value}"
    if (
        not equals
        or key.startswith("~")
        or "@" in key
        or (bare.partition("/")[0] in groups and "." not in bare)
    ):
        return override
    return f"++{bare}={value}"


def _hidden(own: Path | None) -> list[str]:
    """Name the user's files that a shipped one of the same name would hide."""
    files = sorted(own.rglob("*.yaml")) if own else []
    return [
        f"--config-dir: {file} would be hidden by the shipped file of that name; rename it"
        for file in files
        if (conf_folder() / file.relative_to(own or "")).exists()
    ]


def _with_sources(values: dict[str, Any]) -> dict[str, Any]:
    """Fill each stage's data entries from the run's sources of the same name."""
    sources, stages = values.get("sources"), values.get("stages")
    sources = sources if isinstance(sources, dict) else {}
    for stage in stages.values() if isinstance(stages, dict) else ():
        data = stage.get("data") if isinstance(stage, dict) else None
        for name, entry in data.items() if isinstance(data, dict) else ():
            entry = entry or {}
            own = isinstance(entry, Mapping) and (entry.get("path") or entry.get("dataset"))
            if name in sources and not own:
                given = {k: v for k, v in entry.items() if v is not None}
                stage["data"][name] = {**sources[name], **given}
            elif entry == {}:
                stage["data"][name] = {}
    return values


def _package_folder(name: str) -> str:
    """Resolve `${package:r1trl_tiny}`: the folder of an installed package."""
    from importlib.util import find_spec

    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ValueError(f"no package is called '{name}'")
    return str(spec.submodule_search_locations[0])


def _plainly(error: Exception, overrides: list[str], folders: list[Path]) -> str:
    """Say what Hydra says in one line, with a suggestion where a group has no such option."""
    text = " ".join(str(error).split())
    for override in overrides:
        group, _, choice = override.lstrip("+").partition("=")
        group = group.partition("@")[0]
        options = sorted({p.stem for f in folders for p in (f / group).glob("*.yaml")})
        if options and choice not in options and "." not in group:
            return f"{group}: {unknown(group, choice, options)}"
    return text


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
