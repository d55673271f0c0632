"""Signs of Unicode and how LaTeX writes them."""

import unicodedata

SIGNS = {
    **dict.fromkeys("−–—‐‑‒﹣➖", "-"),
    **dict.fromkeys("‘’′`´", "'"),
    **dict.fromkeys("“”″", '"'),
    **dict.fromkeys("·∙⋅•", r"\cdot "),
    **dict.fromkeys("≤⩽≦", r"\le "),
    **dict.fromkeys("≥⩾≧", r"\ge "),
    **dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff\u00ad\ue000\ue001", ""),
    "×": r"\times ",
    "✕": r"\times ",
    "÷": "/",
    "∕": "/",
    "⁄": "/",
    "√": r"\sqrt ",
    "∛": r"\sqrt[3] ",
    "∞": r"\infty ",
    "≠": r"\ne ",
    "≈": r"\approx ",
    "±": r"\pm ",
    "∓": r"\mp ",
    "°": r"^\circ ",
    "∪": r"\cup ",
    "∩": r"\cap ",
    "∅": r"\emptyset ",
    "∈": r"\in ",
    "→": r"\to ",
    "⇒": r"\to ",
    "¢": " cents",
    "…": r"\ldots ",
    "、": ", ",
    "。": ".",
    "．": ".",
    "【": "[",
    "】": "]",
    "「": "",
    "」": "",
    "《": "",
    "》": "",
    "ℝ": r"\mathbb{R}",
    "ℤ": r"\mathbb{Z}",
    "ℕ": r"\mathbb{N}",
    "ℚ": r"\mathbb{Q}",
    "∠": r"\angle ",
    "℃": r"^\circ C",
    "℉": r"^\circ F",
    "△": r"\triangle ",
    "⟨": r"\langle ",
    "⟩": r"\rangle ",
}


def latex_of(character: str) -> str:
    """Return a sign or a Greek letter as LaTeX; any other character as it is."""
    if not "Α" <= character <= "ω":
        return SIGNS.get(character, character)
    words = unicodedata.name(character, "").split()
    if len(words) != 4 or words[0] != "GREEK":
        return character
    name = words[3].lower().replace("lamda", "lambda")
    return f"\\{name.capitalize() if words[1] == 'CAPITAL' else name} "
