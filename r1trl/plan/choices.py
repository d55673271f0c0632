"""What can be wrong with what a stage picks from plugins: names, options, what is not ready."""

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from r1trl.config.checked import Composed
from r1trl.config.schema import StageConfig
from r1trl.errors import suggest, unknown
from r1trl.fields import Field
from r1trl.plugins.loading import Plugins
from r1trl.plugins.offer import Offer, missing_requirements
from r1trl.plugins.values import check_options, convert
from r1trl.rewards.scorer import COMMON_OPTIONS
from r1trl.tracking.chosen import chosen_trackers
from r1trl.types import Benchmarks, RewardName
from r1trl.variants import REFERENCE

COMMON_TYPES: dict[str, Any] = {
    "reward": str,
    "weight": float,
    "requires": list[str],
    "where": dict[str, Any],
    "unless": dict[str, Any],
    "from_step": int,
    "until_step": int,
}
COMMON_FIELDS = {
    "from_step": Field(at_least=0),
    "until_step": Field(at_least=1),
}


def check_offers(plugins: Plugins, role: str, chosen: Mapping[str, Any], key: str) -> list[str]:
    """Check what is chosen of a role, name -> options; return the problems."""
    problems = []
    for name, options in chosen.items():
        problems += check_offer(plugins, role, name, options, f"{key}.{name}", key)
    return problems


def check_offer(
    plugins: Plugins, role: str, name: str, options: Any, key: str, name_key: str
) -> list[str]:
    """Check one choice; `key` is the key of its options, `name_key` that of its name."""
    offers = plugins.offers[role]
    if options is None:
        return []
    if name not in offers:
        return [f"{name_key}: {unknown(role, name, offers)}"]
    if not isinstance(options, Mapping):
        return [f"{key}: must be a mapping of options, such as {{}}"]
    common = COMMON_OPTIONS if role == "reward" else ()
    return check_options(offers[name], options, key, common) or missing_requirements(
        offers[name], options, key
    )


def check_trackers(run: Composed) -> Iterator[str]:
    """Yield what is wrong with a run's trackers; one that is chosen in short has its own key."""
    for name, options in (run.config.trackers | chosen_trackers(run.config)).items():
        key = f"trackers.{name}" if name in run.config.trackers else name
        yield from check_offer(run.plugins, "tracker", name, options, key, "trackers")


def check_filters(
    plugins: Plugins, chosen: Mapping[str, Any], benchmarks: Iterable[str], at: str
) -> list[str]:
    """Check filters, and that the benchmarks that they name are the run's; return the problems.

    `at` is the key of the filters.
    """
    problems = check_offers(plugins, "filter", chosen, at)
    for name, options in active(chosen).items():
        offer = plugins.offers["filter"].get(name)
        for option in offer.options_of_type(Benchmarks) if offer else ():
            key = f"{at}.{name}.{option}"
            named = options.get(option)
            named = named if isinstance(named, list) else []
            known = set(benchmarks)
            problems += [
                f"{key}: {unknown('benchmark', n, known)}" for n in named if n not in known
            ]
            problems += [] if known else [f"{key}: the run has no benchmarks"]
    return problems


def active(chosen: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return what is chosen and not dropped, with its options."""
    return {name: options for name, options in chosen.items() if isinstance(options, Mapping)}


def needing_groups(rewards: Mapping[str, Any], plugins: Plugins) -> list[str]:
    """Return the rewards that compare the completions of a prompt, and need all of them."""
    offers = plugins.offers["reward"]
    chosen = {n: offers.get(options.get("reward", n)) for n, options in active(rewards).items()}
    return [n for n, offer in chosen.items() if offer and offer.description.needs_groups]


def check_rewards(
    stage_key: str,
    stage: StageConfig,
    plugins: Plugins,
    sources: Iterable[str] | None = None,
    benchmarks: bool = False,
) -> list[str]:
    """Check a stage's rewards; return the problems.

    `sources` are the names of the sources that its rows come from; None: not known. If they are
    all `benchmarks`, which a run may drop, rewards may name others, but for slips.
    """
    problems = []
    at = f"{stage_key}.rewards"
    forms = {name for source in stage.data.values() for name in active(source.variants)}
    for name, options in stage.rewards.items():
        offer = options.get("reward", name) if isinstance(options, Mapping) else name
        own = own_options(options)
        problems += check_offer(plugins, "reward", offer, own, f"{at}.{name}", at)
    rewards, offers = active(stage.rewards), plugins.offers["reward"]
    for name, options in rewards.items():
        key = f"{at}.{name}"
        lines = _common_options(options, sources, forms, benchmarks)
        problems += [f"{key}.{line}" for line in lines]
        others = [other for other in rewards if other != name]
        required_names = options.get("requires")
        for required in required_names if isinstance(required_names, list) else ():
            if required not in others:
                problems.append(f"{key}.requires: {unknown('other reward', required, others)}")
        if options.get("reward", name) in offers:
            offer = offers[options.get("reward", name)]
            problems += _named_rewards(offer, options, others, key)
            problems += _hidden(offer, stage, stage_key, key)
    return problems


def _named_rewards(
    offer: Offer, options: Mapping[str, Any], others: list[str], key: str
) -> list[str]:
    """Check that what is named by options of the type RewardName is there."""
    problems = []
    for option in offer.options_of_type(RewardName):
        named = options.get(option, offer.options[option].default)
        if isinstance(named, str) and named not in others:
            problems.append(f"{key}.{option}: {unknown('other reward', named, others)}")
    return problems


def _hidden(offer: Offer, stage: StageConfig, stage_key: str, key: str) -> list[str]:
    """Refuse a column with the name of a reward's option: it would override the option."""
    return [
        f"{key}: the data has a column '{column}' ({stage_key}.data.{source}.columns), which would "
        "hide the reward's option of that name"
        for source, entry in stage.data.items()
        for column in entry.columns
        if column in offer.options
    ]


def own_options(options: Any, role: str = "reward") -> Any:
    """Return the options of an offer, without the keys that every one of its role takes."""
    if not isinstance(options, Mapping):
        return options
    common = {"reward": COMMON_OPTIONS, "variant": ("variant",)}.get(role, ())
    return {k: v for k, v in options.items() if k not in common}


def _common_options(
    options: Mapping[str, Any],
    sources: Iterable[str] | None,
    forms: AbstractSet[str],
    benchmarks: bool,
) -> Iterator[str]:
    """Yield what is wrong with the keys that every reward takes; `forms`: the rows' variants."""
    for name, type_ in COMMON_TYPES.items():
        if options.get(name) is None:
            continue
        try:
            problem = COMMON_FIELDS.get(name, Field()).problem(convert(options[name], type_))
        except ValueError as error:
            problem = str(error)
        if name == "weight" and not problem and not math.isfinite(options[name]):
            problem = f"{options[name]} is not finite"
        if problem:
            yield f"{name}: {problem}"
            return
    first, last = options.get("from_step"), options.get("until_step")
    if first is not None and last is not None and last <= first:
        yield f"until_step: {last} is not after from_step={first}; the reward would never count"
    known = {"variant": {REFERENCE, *forms}} if forms else {}
    known |= {} if sources is None else {"source": set(sources)}
    for option, (column, names) in itertools.product(("where", "unless"), known.items()):
        wanted = (options.get(option) or {}).get(column)
        for value in wanted if isinstance(wanted, list) else [wanted]:
            there = value is None or value in names
            if not there and (suggest(str(value), names) or not benchmarks):
                yield f"{option}.{column}: {unknown(f'{column} of this stage', str(value), names)}"
