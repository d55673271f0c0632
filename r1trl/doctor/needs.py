"""What plugins need of a machine, as they themselves say: a sandbox, packages, programs."""

from collections.abc import Iterator

from r1trl.config.kinds import load_plugins
from r1trl.doctor.asked import Asked
from r1trl.doctor.finding import Finding
from r1trl.errors import ConfigError
from r1trl.plugins.offer import Offer, missing_requirements


def need_findings(asked: Asked, number: int) -> Iterator[Finding]:
    """Yield what this node lacks for what plugins offer; wrong where the run chooses it.

    `number` is the node's: the first one has rank 0.
    """
    try:
        offers = load_plugins(asked.load, asked.block).offers
    except ConfigError as error:
        yield from (Finding("wrong", "plugins", problem) for problem in error.problems)
        return
    for each in (*asked.chosen, *(asked.trackers if number == 0 else ())):
        for problem in missing_requirements(offers[each.role][each.name], each.options, each.key):
            yield Finding("wrong", "plugins", problem)
    ready = []
    for offer in (o for named in offers.values() for o in named.values() if _says(o)):
        name = f"{offer.role} {offer.name}"
        problems = missing_requirements(offer, {}, name)
        yield from (Finding("note", "plugins", problem) for problem in problems)
        ready += [] if problems else [name]
    if ready:
        yield Finding("ok", "plugins", f"what they need is here, and works: {', '.join(ready)}")


def _says(offer: Offer) -> bool:
    """Return True if an offer can say what it lacks without being told how it is used."""
    required = [p.default is p.empty for p in offer.options.values()]
    return offer.description.missing_requirements is not None and not any(required)
