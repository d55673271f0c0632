"""The formats in which an answer can be given, and which of them a prompt asks for."""

from collections.abc import Sequence
from dataclasses import dataclass

THOUGHT = "I look at the question and work it out step by step."


@dataclass(frozen=True)
class AnswerFormat:
    """A format of completions: with a thought or without, and the texts around the answer."""

    thinks: bool
    delimiters: tuple[str, str]

    def __str__(self) -> str:
        thought = "<think>…</think>" if self.thinks else ""
        return thought + "…".join(self.delimiters).replace("\n", " ")

    def fill(self, answer: str, prompt: str) -> str:
        """Return a completion in this format; a `<think>` that ends the prompt is not repeated."""
        opening = "" if prompt.rstrip().endswith("<think>") else "<think>"
        thought = f"{opening}{THOUGHT}</think>\n" if self.thinks else ""
        return thought + answer.join(self.delimiters)


TAGGED = ("<answer>", "</answer>")
BOXED = ("\\boxed{", "}")
BOTH = ("<answer>\\boxed{", "}</answer>")
FENCED = ("```python\n", "\n```")
STATED = ("The answer is ", ".")
BARE = ("", "")
DELIMITERS = (TAGGED, BOXED, BOTH, FENCED, STATED, BARE)
ALL_FORMATS = [AnswerFormat(thinks, each) for thinks in (True, False) for each in DELIMITERS]


def formats_asked_for(prompts: Sequence[str]) -> list[AnswerFormat]:
    """Return the formats that obey all of the prompts; empty if they ask for none.

    A completion may think although the prompt does not ask for it.
    """

    def mentioned(text: str) -> bool:
        return all(text in prompt for prompt in prompts)

    thoughts = (True,) if mentioned("<think>") else (False, True)
    tags, box = mentioned("<answer>"), mentioned("\\boxed")
    if tags or box:
        delimiters: Sequence[tuple[str, str]] = [
            BOTH if tags and box else TAGGED if tags else BOXED
        ]
    elif mentioned("```"):
        delimiters = [FENCED]
    else:
        delimiters = DELIMITERS if thoughts == (True,) else []
    return [AnswerFormat(thinks, each) for each in delimiters for thinks in thoughts]
