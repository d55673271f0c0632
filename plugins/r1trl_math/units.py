"""Units beside a number, by pint: their dimension, and their size in its basic units."""

import functools
import re
from typing import Any, NamedTuple

CURRENCIES = {
    "dollar": "$ usd us$ 美元 美金",
    "euro": "€ eur euros",
    "gbp": "£",
    "yuan": "¥ cny rmb 元 块",
}
CURRENCIES |= {"rupee": "₹ inr rs rs.", "won": "₩ krw", "ruble": "₽ rub", "yen": "jpy 日元"}
NAMES = {name: unit for unit, names in CURRENCIES.items() for name in names.split()}
NAMES |= {"''": "inch", '"': "inch", "'": "foot", "角": "jiao", "度": "degree", "摄氏度": "degC"}
NAMES |= {"毫米": "mm", "厘米": "cm", "分米": "dm", "米": "m", "千米": "km", "公里": "km"}
NAMES |= {"克": "g", "千克": "kg", "公斤": "kg", "吨": "metric_ton", "毫升": "mL", "升": "L"}
NAMES |= {
    "秒": "second",
    "分钟": "minute",
    "小时": "hour",
    "天": "day",
    "周": "week",
    "个月": "month",
}
NAMES |= {"年": "year", "hr": "hour", "hrs": "hour", "mins": "minute", "secs": "second"}
NAMES |= {
    "degc": "degC",
    "degf": "degF",
    "degk": "kelvin",
    "h": "hour",
    "rpm": "revolutions_per_minute",
}
SYMBOLS = frozenset(
    "cm mm km dm nm kg mg ng ml cl dl hr hrs lb lbs ft yd mph kph rpm ms ns KB MB GB TB USD EUR "
    "GBP CNY RMB INR JPY CAD AUD CHF HKD KG CM KM".split()
)
POWERS = {"平方": 2, "立方": 3}
# Adjectives after a unit, which do not change it, and words that only look like one.
ADJECTIVES = frozenset("long wide tall high deep away old apart more left".split())
NO_UNITS = frozenset("unit units point points pages are as at".split())
UNIT = re.compile(r"[A-Za-zΩµμ°$€£¥₹₩₽][A-Za-zΩµμ°_/^*0-9 .-]*")
MAX_CHARACTERS = 40


class Unit(NamedTuple):
    """A unit's dimension, as powers of basic units, and its size in them."""

    dimension: tuple[tuple[str, float], ...]
    size: float


@functools.cache
def registry() -> Any:
    """Return pint's units and some currencies; imported when first needed, for it takes a while."""
    from pint import UnitRegistry

    units = UnitRegistry(cache_folder=None)
    for currency in CURRENCIES:
        units.define(f"{currency} = [{currency}]")
    units.define("cent = dollar / 100")
    units.define("jiao = yuan / 10")
    return units


@functools.lru_cache(maxsize=1024)
def unit_of(words: tuple[str, ...]) -> Unit | None:
    """Return the unit that words name, such as ("square", "inches") or ("km/h",); else None."""
    kept = [word for word in words if word.lower() not in ADJECTIVES]
    text = " ".join(map(_english, kept))
    if not UNIT.fullmatch(text) or len(text) > MAX_CHARACTERS or set(kept) & NO_UNITS:
        return None
    units = registry()
    try:
        unit = units.parse_units(text)
        one = units.Quantity(1.0, unit)
        if "[temperature]" in str(unit.dimensionality):  # its scales have different zeros
            return Unit(((str(unit), 1.0),), 1.0)
        basic = one.to_root_units()
        powers = tuple(sorted((name, float(power)) for name, power in basic.unit_items()))
        return Unit(powers, float(basic.magnitude))
    except Exception:  # noqa: BLE001 - pint raises all sorts on what is no unit
        return None


def _english(word: str) -> str:
    power = POWERS.get(word[:2])
    if power:
        return f"{NAMES.get(word[2:], word)}^{power}"
    return NAMES.get(word.lower(), word)


def is_symbol(letters: str) -> bool:
    """Return True if letters that could be a product are a unit after a number: cm, kg, GB."""
    return letters in SYMBOLS
