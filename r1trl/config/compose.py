"""From a recipe's name and overrides to a checked config: Hydra composes, the schema checks.

Hydra's own advice for an unknown key is to append it with `+`, which lets a typo pass. Here every
`key=value` may add or override, with or without `+`, and the schema then refuses what it does not
know.
"""

import itertools
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

from r1trl.config.aliases import rename_override
from r1trl.config.checked import Composed, checked
from r1trl.config.kinds import load_plugins
from r1trl.config.parse import Renaming
from r1trl.errors import ConfigError, unknown
from r1trl.plugins.loading import config_folders


def conf_folder() -> Path:
    """Return the folder of the shipped configs: in the installed package, or in a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "conf"
    return installed if installed.is_dir() else package.parent / "conf"


def compose(overrides: list[str], own: Path | None) -> Composed:
    """Compose a run.

    `own` is a folder of the user's recipes and other groups. It is searched besides the shipped one
    and the `conf/` of plugin packages: the installed ones, and those that `plugins.load` names in
    `overrides`. Raises ConfigError with every key that is wrong; its `partial` is the `Composed`
    without them.
    """
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    OmegaConf.register_new_resolver("package", _package_folder, replace=True)
    if own and not own.is_dir():
        raise ConfigError([f"--config-dir: there is no folder {own}"])
    chosen, renaming = _plugins_chosen(overrides), Renaming()
    plugins = load_plugins(chosen["load"], chosen["block"])
    overrides = [rename_override(override, plugins, renaming) for override in overrides]
    further = config_folders(chosen["load"], chosen["block"])
    further += [own.resolve()] if own else []
    folders = [conf_folder(), *further]
    if shadowed := _shadowed_files(folders, own):
        raise ConfigError(shadowed)
    groups = {p.name for folder in folders for p in folder.iterdir() if p.is_dir()}
    paths = ",".join(f"'file://{_quotable(folder)}'" for folder in further)
    search = [f"hydra.searchpath=[{paths}]"]
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(conf_folder()), version_base="1.3"):
            hydra_overrides = [_add_or_override(o, groups) for o in overrides]
            composed = hydra_compose("config", hydra_overrides + (search if further else []))
            values = OmegaConf.to_container(composed, resolve=True, throw_on_missing=False)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError([_one_line(error, overrides, folders)]) from error
    header = "".join(f"# {override}\n" for override in overrides)
    text = f"# composed from these overrides:\n{header}{OmegaConf.to_yaml(composed)}"
    return checked(cast(dict[str, Any], values), text, renaming, plugins)


def _quotable(folder: Path) -> str:
    """Return a path for a quoted value of an override."""
    return str(folder).replace("\\", "\\\\").replace("'", "\\'")


def _plugins_chosen(overrides: Iterable[str]) -> dict[str, list[str]]:
    """Return `plugins.load` and `plugins.block` of the command line, parsed as Hydra does."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    chosen: dict[str, list[str]] = {"load": [], "block": []}
    for override in overrides:
        name = override.partition("=")[0].lstrip("+").removeprefix("plugins.")
        if name in chosen and override.lstrip("+").startswith("plugins."):
            try:
                value = OverridesParser.create().parse_override(override).value()
            except HydraException:
                continue  # composing will say what is wrong with it
            chosen[name] = [str(v) for v in value] if isinstance(value, list) else []
    return chosen


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


def _shadowed_files(folders: list[Path], own: Path | None) -> list[str]:
    """Name every file of a folder that one of the same name in an earlier folder would hide."""
    first: dict[Path, Path] = {}
    problems = []
    for folder in folders:
        for file in sorted(folder.rglob("*.yaml")):
            other = first.setdefault(file.relative_to(folder), file)
            if other != file and own and folder == own.resolve():
                shipped = other.is_relative_to(conf_folder())
                hiding = "the shipped file of that name" if shipped else str(other)
                problems.append(f"--config-dir: {file} would be hidden by {hiding}; rename it")
            elif other != file:
                problems.append(
                    f"plugins: {file} would be hidden by {other}; rename it, or block its plugin"
                )
    return problems


def _package_folder(name: str) -> str:
    """Resolve `${package:r1trl_tiny}`: the folder of an installed package."""
    from importlib.util import find_spec

    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ValueError(f"no package is called '{name}'")
    return str(spec.submodule_search_locations[0])


def _one_line(error: Exception, overrides: list[str], folders: list[Path]) -> str:
    """Return Hydra's message in one line, with a suggestion if a group has no such option."""
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
