"""Words that a shell completes: overrides, by the groups and keys that there are.

Groups and their options are names of files. A key with a dot needs the composed run, which takes
about a second.
"""

from typing import Any


def complete_overrides(prefix: str, parsed_args: Any, **_: Any) -> list[str]:
    """Return the overrides that begin with `prefix`, as argcomplete asks for them."""
    from r1trl.catalog.listing import groups_of, options_of
    from r1trl.config.checked import RUN_KEYS
    from r1trl.config.compose import search_path

    own = getattr(parsed_args, "config_dir", None)
    folders = search_path((), (), own)
    key, equals, _value = prefix.partition("=")
    group = key.partition("@")[0]
    if equals:
        found = [f"{key}={name}" for name in options_of(folders, group)]
    elif "." in key:
        found = _keys(getattr(parsed_args, "overrides", ()), own)
    else:
        found = [f"{name}=" for name in dict.fromkeys([*groups_of(folders), *RUN_KEYS])]
    return [word for word in found if word.startswith(prefix)]


def _keys(overrides: Any, own: Any) -> list[str]:
    """Return the keys of the run that the words before put together, each with an equals sign."""
    from dataclasses import asdict

    from r1trl.config.compose import compose
    from r1trl.config.keys import leaves

    config = compose([word for word in overrides or () if "=" in word], own).config
    return list(dict.fromkeys(f"{'.'.join(path)}=" for path, _ in leaves(asdict(config))))
