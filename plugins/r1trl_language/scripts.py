"""The languages that are known, the letters of scripts, and which script writes which languages.

The letters of a script include the marks that belong to its words, such as vowel signs, and leave
out its digits and punctuation.
"""

NAMES = dict(
    pair.split(":")
    for pair in (
        "ar:Arabic bg:Bulgarian bn:Bengali cs:Czech da:Danish de:German el:Greek en:English "
        "es:Spanish fa:Persian fi:Finnish fr:French gu:Gujarati he:Hebrew hi:Hindi "
        "hu:Hungarian hy:Armenian id:Indonesian it:Italian ja:Japanese ka:Georgian kn:Kannada "
        "ko:Korean ml:Malayalam nl:Dutch no:Norwegian pa:Punjabi pl:Polish pt:Portuguese "
        "ro:Romanian ru:Russian sv:Swedish sw:Swahili ta:Tamil te:Telugu th:Thai tr:Turkish "
        "uk:Ukrainian ur:Urdu vi:Vietnamese zh:Chinese"
    ).split()
)
HAN = r"\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
HIRAGANA, KATAKANA = r"\u3041-\u309f", r"\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"
LATIN = r"A-Za-zÀ-ÖØ-öø-ɏ\u0300-\u036fḀ-ỿ"
LETTERS = {
    "cyrillic": r"\u0400-\u0481\u048a-\u052f",
    "arabic": r"\u0610-\u061a\u0620-\u065f\u066e-\u06d3\u06d5-\u06ef\u06fa-\u06ff\u0750-\u077f",
    "greek": r"\u0370-\u03ff\u1f00-\u1fff",
    "hebrew": r"\u0591-\u05bd\u05bf-\u05c2\u05d0-\u05f4",
    "devanagari": r"\u0900-\u0963\u0971-\u097f",
    "bengali": r"\u0980-\u09e3\u09f0\u09f1",
    "gurmukhi": r"\u0a01-\u0a5e\u0a70-\u0a75",
    "gujarati": r"\u0a81-\u0ae3",
    "tamil": r"\u0b82-\u0bd7",
    "telugu": r"\u0c00-\u0c63",
    "kannada": r"\u0c80-\u0ce3",
    "malayalam": r"\u0d00-\u0d63",
    "thai": r"\u0e01-\u0e3a\u0e40-\u0e4e",
    "georgian": r"\u10a0-\u10ff",
    "armenian": r"\u0531-\u0587",
    "hangul": r"\uac00-\ud7a3",
}
LANGUAGES = {
    "latin": tuple("en cs da de es fi fr hu id it nl no pl pt ro sv sw tr vi".split()),
    "kana": ("ja",),
    "cyrillic": ("bg", "ru", "uk"),
    "arabic": ("ar", "fa", "ur"),
    "greek": ("el",),
    "hebrew": ("he",),
    "devanagari": ("hi",),
    "bengali": ("bn",),
    "gurmukhi": ("pa",),
    "gujarati": ("gu",),
    "tamil": ("ta",),
    "telugu": ("te",),
    "kannada": ("kn",),
    "malayalam": ("ml",),
    "thai": ("th",),
    "georgian": ("ka",),
    "armenian": ("hy",),
    "hangul": ("ko",),
    "other": (),
}
