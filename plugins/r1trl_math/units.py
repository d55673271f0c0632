"""Words beside a number: units and their sizes, numerals that multiply, words that change it."""

import re
from collections.abc import Iterable
from fractions import Fraction
from typing import NamedTuple


class Unit(NamedTuple):
    """A unit's dimension, and its size in the dimension's smallest unit."""

    dimension: str
    size: Fraction


def _units(dimension: str, *rows: tuple[str, int | Fraction]) -> dict[str, Unit]:
    return {name: Unit(dimension, Fraction(size)) for names, size in rows for name in names.split()}


UNITS = {
    **_units("metres", ("mm millimeter millimetre 毫米", 1), ("cm centimeter centimetre 厘米", 10)),
    **_units("metres", ("dm decimeter decimetre", 100), ("m meter metre 米", 1000)),
    **_units("metres", ("km kilometer kilometre 公里 千米", 1_000_000)),
    **_units("feet", ("in inch inche 英寸", 1), ("ft foot feet ' 英尺", 12), ("yd yard", 36)),
    **_units("feet", ("mi mile 英里", 63_360), ('"', 1)),
    **_units("grams", ("mg milligram 毫克", 1), ("g gram 克", 1000), ("kg kilogram 千克", 10**6)),
    **_units("pounds", ("oz ounce", 1), ("lb pound", 16)),
    **_units("litres", ("ml milliliter millilitre 毫升", 1), ("l liter litre 升", 1000)),
    **_units("time", ("s sec second 秒", 1), ("min minute 分钟", 60), ("h hr hour 小时", 3600)),
    **_units("time", ("day 天", 86_400), ("week 周 星期", 604_800)),
    **_units("years", ("month 个月", 1), ("yr year 年", 12)),
    **_units("dollars", ("cent ¢", 1), ("dollar", 100)),
}

# Letters after a number that are no product of variables.
ABBREVIATIONS = frozenset(
    "mph kph kmh rpm kw kwh hz khz mhz ghz kb mb gb tb pm am rs pts pcs usd eur gbp cny rmb".split()
)

MULTIPLIERS = {
    "hundred": 100,
    "thousand": 1000,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
    "dozen": 12,
    "百": 100,
    "千": 1000,
    "万": 10**4,
    "亿": 10**8,
    "mn": 10**6,
    "bn": 10**9,
}

OPPOSITES = [
    tuple(pair.split())
    for pair in "am pm|east west|north south|odd even|left right|up down|increase decrease|"
    "profit loss|gain loss|clockwise counterclockwise|clockwise anticlockwise|"
    "above below|before after|bc ad|positive negative|bce ce|maximum minimum|max min|"
    "rise fall|true false|yes no|inside outside|"
    "prime composite|rational irrational|增加 减少|上 下|左 右|前 后".split("|")
]

# Words that make a number another statement: "at least 5" and "5 or 6" are not the answer 5.
CHANGING = frozenset(
    "not isn't aren't wasn't cannot can't never neither nor without except unless wrong incorrect "
    "false or between either than least most minimum maximum twice double triple thrice half third "
    "thirds quarter quarters root multiple multiples factor factors divisor divisors divisible "
    "reciprocal inverse negative minus plus squared cubed factorial modulo mod remainder one-third "
    "two-thirds under over below above beyond exceeds exceed unknown undefined maybe".split()
)
CHINESE_CHANGING = re.compile(
    "不是|并非|至少|至多|最多|最少|不超过|不少于|大于|小于|超过|或|一半|倍数|因数|平方根|之间"
)

NUMERALS = frozenset(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen twenty thirty forty fourty fifty sixty seventy eighty "
    "ninety hundred thousand million billion trillion dozen and a half quarter third thirds "
    "quarters halves fifth fifths point minus negative first second".split()
)
CHINESE_NUMERALS = frozenset("零〇一二三四五六七八九十百千万亿两点负分之半")


def changes_number(words: Iterable[str]) -> bool:
    """Return True if one of the words makes a number another statement."""
    return any(word in CHANGING or CHINESE_CHANGING.search(word) for word in words)


def unit_of(words: tuple[str, ...]) -> Unit | None:
    """Return the unit that words name; None if they are no single known unit."""
    return UNITS.get(words[0]) if len(words) == 1 else None


def are_opposite(left: frozenset[str], right: frozenset[str]) -> bool:
    """Return True if one has a word whose opposite the other has, such as east and west."""
    return any(
        (a in left and b in right and b not in left and a not in right)
        or (b in left and a in right and a not in left and b not in right)
        for a, b in OPPOSITES
    )


def is_numeral(words: tuple[str, ...]) -> bool:
    """Return True if words spell a number, such as "forty two" or 四十二."""
    chinese = "".join(words)
    spelled = set(words) <= NUMERALS and not set(words) <= {"and", "a", "point", "second", "first"}
    return bool(words) and (spelled or set(chinese) <= CHINESE_NUMERALS)
