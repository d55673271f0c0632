"""Whole numbers from 0 to 99 in words, in the two languages of the tiny world."""

ENGLISH_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
).split()
ENGLISH_TENS = "zero ten twenty thirty forty fifty sixty seventy eighty ninety".split()
CHINESE_DIGITS = "零一二三四五六七八九"


def english(number: int) -> str:
    """Return a number from 0 to 99 in English: 21 is 'twenty one'."""
    if number < len(ENGLISH_SMALL):
        return ENGLISH_SMALL[number]
    tens, ones = divmod(number, 10)
    return f"{ENGLISH_TENS[tens]} {ENGLISH_SMALL[ones]}" if ones else ENGLISH_TENS[tens]


def chinese(number: int) -> str:
    """Return a number from 0 to 99 in Chinese: 21 is '二十一'."""
    tens, ones = divmod(number, 10)
    if not tens:
        return CHINESE_DIGITS[ones]
    lead = CHINESE_DIGITS[tens] if tens > 1 else ""
    return f"{lead}十{CHINESE_DIGITS[ones] if ones else ''}"
