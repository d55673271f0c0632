"""From a recipe's name and overrides to a checked config: Hydra composes, the schema checks.

Hydra's own advice for an unknown key is to append it with `+`, which lets a typo pass. Here every
`key=value` may add or override, with or without `+`, and the schema then refuses what it does not
know.
"""

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from r1trl.config.aliases import rename_key
from r1trl.config.checked import Composed, Given, checked, dataset_files, superseded
from r1trl.config.keys import apply, delete_key, is_new, referred_to, unknown_references
from r1trl.config.kinds import load_plugins
from r1trl.config.overrides import PROBLEMS, Override, package_of, read_all, split, unknown_options
from r1trl.config.parse import Renaming
from r1trl.config.schema import ONLY_REFERRED_TO, REQUIRED
from r1trl.errors import ConfigError, suggest
from r1trl.plugins.loading import Plugins, config_folders
from r1trl.process.environment import secrets_kept, values_of


def conf_folder() -> Path:
    """Return the folder of the shipped configs: in the installed package, or in a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "conf"
    return installed if installed.is_dir() else package.parent / "conf"


def compose(overrides: Sequence[str], own: Path | None, tail: str = "") -> Composed:
    """Compose a run.

    `own` is a folder of the user's recipes and other groups. It is searched besides the shipped one
    and the `conf/` of plugin packages: the installed ones, and those that `plugins.load` names in
    `overrides`. The run's name ends in `tail`. Raises ConfigError with every key that is wrong; its
    `partial` is the `Composed` without them.
    """
    read, renaming = read_all(overrides), Renaming()
    load, block = named_plugins(read)
    plugins, folders = load_plugins(load, block), search_path(load, block, own)
    groups, keys = split(read, folders)
    keys = [replace(o, key=rename_key(o.key, plugins, renaming)) for o in keys]
    values, choices = _composed(groups, folders)
    new = {o.key for o in keys if is_new(values, o.key)}
    new |= {package_of(o) for o in groups if o.prefix == "+"}
    problems = apply(keys, values, renaming.notes)
    values["name"] = _name(values.get("name"), choices, tail)
    renaming.given |= {o.key for o in keys if not o.deletes}
    renaming.given |= {package_of(o) for o in groups if not o.deletes} - {""}
    for key in superseded(values, dataset_files(choices, folders), renaming.given):
        delete_key(values, key)
    words = [o.text for o in (*groups, *keys)]
    head = textwrap.indent("\n".join(["composed from these overrides:", *words]), "# ")
    composed = checked_values(values, renaming, plugins, new, problems)
    given = replace(composed.given, overrides=words, recipe=choices.get("recipe"))
    return replace(composed, text=f"{head}\n{composed.text}", given=given)


def named_plugins(overrides: Sequence[Override]) -> tuple[list[str], list[str]]:
    """Return the plugins that overrides load and block; empty if none does."""
    lists = {each.key: each.value for each in overrides if isinstance(each.value, list)}
    load, block = (list(map(str, lists.get(f"plugins.{n}", ()))) for n in ("load", "block"))
    return load, block


def search_path(load: Sequence[str], block: Sequence[str], own: Path | None) -> list[Path]:
    """Return the folders of configs, the shipped one first; raise ConfigError if files clash."""
    if own and not own.is_dir():
        raise ConfigError([f"--config-dir: there is no folder {own}"])
    folders = [conf_folder(), *config_folders(load, block), *([own.resolve()] if own else [])]
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
    if problems:
        raise ConfigError(problems)
    return folders


def _composed(groups: Sequence[Override], folders: Sequence[Path]) -> tuple[dict[str, Any], Any]:
    """Return the chosen groups as nested values, and the option of each group.

    Raises ConfigError if Hydra cannot compose them.
    """
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    if unknown := list(unknown_options(groups, folders)):
        raise ConfigError(unknown)
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(conf_folder()), version_base="1.3"):
            given = hydra_overrides(groups, folders)
            composed = hydra_compose("config", given, return_hydra_config=True)
            values: Any = OmegaConf.to_container(composed, resolve=False)
    except (HydraException, OmegaConfBaseException, yaml.YAMLError) as error:
        raise ConfigError([_one_line(error, folders)]) from error
    return values, values.pop("hydra")["runtime"]["choices"]


def hydra_overrides(groups: Sequence[Override], folders: Sequence[Path]) -> list[str]:
    """Return what Hydra gets: the chosen groups, and the search path."""
    paths = [str(folder).replace("\\", "\\\\").replace("'", "\\'") for folder in folders[1:]]
    search = ",".join(f"'file://{path}'" for path in paths)
    chosen = [f"dataset@{PROBLEMS}={o.written}" if o.key == "dataset" else o.text for o in groups]
    return chosen + ([f"hydra.searchpath=[{search}]"] if search else [])


def _one_line(error: Exception, folders: Sequence[Path]) -> str:
    """Return in one line why Hydra cannot compose, after the key or the file that it is about."""
    text = " ".join(str(error).split())
    if isinstance(error, yaml.MarkedYAMLError) and (mark := error.problem_mark):
        return f"{mark.name}, line {mark.line + 1}: {error.problem}"
    found = re.match(r"(?:In '(\S+)': )?(.*)", text)
    where, text = (f"{found[1]}: " if found[1] else "", found[2]) if found else ("", text)
    if match := re.match(
        r"Could not override '(\S+)'\.(?: Did you mean to override (.*?)\?)?", text
    ):
        key, there = match[1], (match[2] or "").removeprefix("one of ").split(", ")
        return f"{where}{key}: nothing is chosen there{suggest(key, there)}; to add one: +{key}=…"
    if match := re.match(r"Multiple values for (\S+)\.|(\S+) appears more than once", text):
        return f"{where}{match[1] or match[2]}: is chosen already; leave out the +"
    if match := re.match(r"Could not delete '(\S+)'", text):
        return f"{where}{match[1]}: there is nothing to delete"
    if match := re.match(r"Could not (?:find|load) '(\S+)'", text):
        group, _, name = match[1].rpartition("/")
        there = [file.stem for folder in folders for file in (folder / group).glob("*.yaml")]
        return f"{where}there is no config {match[1]}{suggest(name, there)}"
    return f"{where}{text}"


def checked_values(
    values: dict[str, Any],
    renaming: Renaming,
    plugins: Plugins,
    new: set[str],
    problems: Sequence[str],
) -> Composed:
    """Return composed values as a run; `new` are keys of the command line that no file has."""
    resolved, text = _resolved(values, problems)
    resolved = secrets_kept(resolved, renaming.notes)
    given = Given(renaming.given, new, referred_to(values, ONLY_REFERRED_TO))
    return checked(resolved, text, renaming, plugins, given, problems)


def _resolved(values: Mapping[str, Any], problems: Sequence[str]) -> tuple[Any, str]:
    """Return values with their interpolations resolved, and as YAML with them.

    Raises ConfigError with what is wrong with them, after the problems found before.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    if missing := unknown_references(values):
        raise ConfigError([*problems, *missing])
    OmegaConf.register_new_resolver("package", _package_folder, replace=True)
    try:
        config = OmegaConf.create(dict(values))
        return values_of(config), OmegaConf.to_yaml(config)
    except OmegaConfBaseException as error:
        text = re.sub(r"^\w+ raised while resolving interpolation: ", "", str(error))
        told = f"{error.full_key}: {text.splitlines()[0]}" if error.full_key else text
        raise ConfigError([*problems, told]) from error


def _name(given: Any, choices: Mapping[str, Any], tail: str) -> Any:
    """Return the run's name: the given one, or `<recipe>-<scale>`; with the tail of a sweep."""
    if given in (None, REQUIRED):
        parts = [str(choices.get("recipe") or "run"), str(choices.get("scale") or "")]
        given = re.sub(r"[^\w.=,+-]+", "-", "-".join(filter(None, parts)))
    return f"{given}-{tail}" if tail else given


def _package_folder(name: str) -> str:
    """Resolve `${package:r1trl_tiny}`: the folder of an installed package."""
    from importlib.util import find_spec

    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ValueError(f"no package is called '{name}'")
    return str(spec.submodule_search_locations[0])
