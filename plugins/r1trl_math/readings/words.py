"""Words beside a number that change what it says: bounds, denials, opposites, numerals."""

import re
from collections.abc import Iterable

MULTIPLIERS = {
    "hundred": 100,
    "thousand": 1000,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
    "dozen": 12,
    "lakh": 10**5,
    "crore": 10**7,
    "mn": 10**6,
    "bn": 10**9,
    "百": 100,
    "千": 1000,
    "万": 10**4,
    "亿": 10**8,
}

# "At least 5", "not 5", "5 or 6" and "5 if x is even" are not the answer 5.
CHANGING = frozenset(
    "not no none isn't aren't wasn't doesn't don't cannot can't never neither nor without except "
    "unless wrong incorrect false or between either than least most up nearly almost could might "
    "perhaps possibly maybe unlikely anything but if too unknown undefined doubled tripled halved "
    "doubles thirds fifth fifths tenth tenths hundredths squared cubed factorial modulo mod "
    "remainder plus minus negative under over below above beyond exceeds exceed exceeding until "
    "within short nein nicht kein mindestens höchstens weniger mehr hälfte moitié minus минус pas "
    "non moins plus jamais menos más mitad doble nunca не менее более меньше больше não mais "
    "metade".split()
)
# Neither are "twice 5" and "a factor of 5"; but "5 factors" is.
CHANGING_BEFORE = CHANGING | frozenset(
    "small large low high minimum maximum twice double triple thrice half halves third quarter "
    "quarters root multiple multiples factor factors divisor divisors divisible reciprocal inverse "
    "opposite one-third two-thirds square-root".split()
)
CHANGING_CHINESE = re.compile(
    "不是|不止|不等|不对|不足|不到|不超|不少|不多|并非|没有|至少|至多|最多|最少|以上|以下|以内|多于|少于|大于|小于"
    "|高于|低于|超过|或|一半|倍数|的倍|因数|平方根|的平方|的立方|之间|折|分之|零下|将近|接近|可能|错"
    "|ではない|ではあり|じゃない|以下|未満|以上|か|아니|이상|이하|미만"
)
OF = frozenset(
    "complement digits loss square cube root power multiple factor half reciprocal inverse "
    "logarithm any".split()
)

OPPOSITES = [
    tuple(pair.split())
    for pair in "am pm|odd even|left right|up down|increase decrease|profit loss|gain loss|"
    "rise fall|clockwise counterclockwise|clockwise anticlockwise|above below|before after|bc ad|"
    "bce ce|positive negative|maximum minimum|max min|true false|yes no|inside outside|more less|"
    "more fewer|prime composite|celsius fahrenheit|rational irrational|forward backward|"
    "forwards backwards|upward downward|"
    "gained lost|won lost|increased decreased|rose fell|win lose|upper lower|first last".split("|")
]
OPPOSITES_CHINESE = [
    tuple(pair) for pair in "增减 上下 左右 前后 东西 南北 盈亏 升降 大小 多少".split()
]
DIRECTIONS = re.compile(r"(?:north|south)?(?:east|west)?(?:ward|wards|ern)?")
MONTH_NAMES = (
    r"jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|"
    r"oct(?:ober)?|nov(?:ember)?|dec(?:ember)?"
)
CALENDAR = re.compile(rf"{MONTH_NAMES}|(?:mon|tues|wednes|thurs|fri|satur|sun)days?")
COMPASS = {"n": "north", "s": "south", "e": "east", "w": "west"}

WEAK = frozenset(
    "unit total altogether in of all the a an each left more answer number there and or is per "
    "with to for at on by square sq cubic".split()
)

NUMERALS = frozenset(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen twenty thirty forty fourty fifty sixty seventy eighty "
    "ninety hundred thousand million billion trillion dozen and a half quarter third thirds "
    "quarters halves fifth fifths point minus negative first second".split()
)
ORDINALS = frozenset("st nd rd th".split())
CHINESE_NUMERALS = frozenset("零〇一二三四五六七八九十百千万亿两点负分之半")


def changes_number(before: Iterable[str], after: Iterable[str]) -> bool:
    """Return True if a word before or after a number makes it another statement."""
    words = [*before, *after]
    changed = any(word.lower() in CHANGING_BEFORE for word in before)
    changed = changed or any(word.lower() in CHANGING for word in after)
    return changed or any(CHANGING_CHINESE.search(word) for word in words)


def are_opposite(left: Iterable[str], right: Iterable[str]) -> bool:
    """Return True if one has a word whose opposite the other has, or another direction."""
    stems = [[_stem(word) for word in side] for side in (left, right)]
    mine, theirs = map(set, stems)
    if any(_oppose(mine, theirs, a, b) or _oppose(mine, theirs, b, a) for a, b in OPPOSITES):
        return True
    characters = [set("".join(side)) for side in (mine, theirs)]
    for a, b in OPPOSITES_CHINESE:
        if _oppose(*characters, a, b) or _oppose(*characters, b, a):
            return True
    dates = [{w[:3] for w in side if CALENDAR.fullmatch(w)} for side in stems]
    if dates[0] and dates[1] and dates[0] != dates[1]:
        return True
    directions = [[w for w in side if w and DIRECTIONS.fullmatch(w)] for side in stems]
    return bool(directions[0] and directions[1] and directions[0] != directions[1])


def _oppose(left: set[str], right: set[str], a: str, b: str) -> bool:
    return a in left and b in right and a not in right and b not in left


def _stem(word: str) -> str:
    word = COMPASS.get(word.lower(), word.lower().replace("-", ""))
    return re.sub(r"(?:wards?|ern)$", "", word) if DIRECTIONS.fullmatch(word) else word


def name_others(left: Iterable[str], right: Iterable[str]) -> bool:
    """Return True if the words after two numbers have none in common: 3 boys, 3 girls."""
    mine, theirs = ({singular(word) for word in side} - WEAK for side in (left, right))
    shared = any(a in b or b in a for a in mine for b in theirs)
    chinese = set("".join(mine)) & set("".join(theirs)) - set("abcdefghijklmnopqrstuvwxyz'-")
    return bool(mine and theirs) and not shared and not chinese


def is_numeral(words: tuple[str, ...]) -> bool:
    """Return True if words spell a number, such as "forty two" or 四十二."""
    chinese = "".join(words)
    spelled = set(words) <= NUMERALS and not set(words) <= {"and", "a", "point", "second", "first"}
    return bool(words) and (spelled or set(chinese) <= CHINESE_NUMERALS)


def singular(word: str) -> str:
    """Return a word in lower case without the s of a plural."""
    lower = word.lower()
    return (
        lower[:-1] if len(lower) > 2 and lower.endswith("s") and not lower.endswith("ss") else lower
    )
