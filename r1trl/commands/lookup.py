"""What there is: `list`, `show`, and `plugins`."""

import argparse
from typing import Any

from r1trl.commands.words import LOAD, add_command, add_config_dir, add_overrides
from r1trl.process.terminal import say
from r1trl.types import ROLES

LIST_EXAMPLES = """\
  r1trl list                                  what can be listed
  r1trl list recipes
  r1trl list recipes --config-dir my_conf     also those of a folder of yours
  r1trl list rewards --load brevity.py        also those of a plugin of yours
"""
SHOW_EXAMPLES = """\
  r1trl show recipe=zero scale=tiny                   each value, and its file or override
  r1trl show recipe=zero stages.zero                  a part
  r1trl show recipe=zero stages.zero.args --defaults  also what nothing sets: r1trl's default, TRL's
  r1trl show recipe=zero scale=tiny --cfg job         the composed YAML
"""


def add_to(commands: Any) -> None:
    """Add the commands with their arguments."""
    text = "list recipes, models, datasets, rewards, …, with where each is from"
    list_ = add_command(commands, "list", text, _list, LIST_EXAMPLES)
    what: Any = list_.add_argument(
        "what", nargs="?", metavar="WHAT", help="such as recipes; without it, what can be listed"
    )
    what.completer = _listed
    list_.add_argument("--load", action="append", default=[], metavar="PLUGIN", help=LOAD)
    add_config_dir(list_)
    text = "print the composed config, and where each value is from; start nothing"
    show = add_command(commands, "show", text, _show, SHOW_EXAMPLES)
    add_overrides(show, "Hydra overrides; a word without = is the key of the part to show")
    show.add_argument(
        "--defaults",
        action="store_true",
        help="also what nothing sets: r1trl's defaults, and of args those of TRL",
    )
    show.add_argument(
        "--cfg", choices=("job",), help="print the composed config as YAML, as Hydra's --cfg job"
    )
    text = "list what is offered, by which plugin, with which options"
    plugins = add_command(commands, "plugins", text, _plugins)
    plugins.add_argument("role", nargs="?", choices=ROLES)
    plugins.add_argument("--load", action="append", default=[], metavar="PLUGIN", help=LOAD)


def _listed(**_: Any) -> list[str]:
    """Return what can be listed, for the shell."""
    from r1trl.catalog.listing import listings

    return list(listings((), None))


def _list(arguments: argparse.Namespace) -> int:
    from r1trl.catalog.listing import listing

    say(listing(arguments.what, arguments.load, arguments.config_dir))
    return 0


def _show(arguments: argparse.Namespace) -> int:
    from r1trl.catalog.show import show

    say(
        show(
            arguments.overrides,
            arguments.config_dir,
            as_yaml=arguments.cfg is not None,
            defaults=arguments.defaults,
        )
    )
    return 0


def _plugins(arguments: argparse.Namespace) -> int:
    from r1trl.config.kinds import load_plugins

    plugins = load_plugins(arguments.load)
    for role, offers in plugins.offers.items():
        if arguments.role not in (None, role):
            continue
        say(f"{role}s")
        for name, offer in sorted(offers.items()):
            say(f"  {name}  ({offer.plugin})  {offer.summary}")
            for line in _options(offer):
                say(f"      {line}")
    return 0


def _options(offer: Any) -> list[str]:
    """Return the options of an offer, or the settings of a kind, each with type and default."""
    if offer.role != "kind":
        return [str(parameter) for parameter in offer.options.values()]
    from r1trl.config.kinds import describe_settings

    return describe_settings(offer.target)
