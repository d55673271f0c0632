"""The forms in which an answer can be given, and which of them a prompt asks for."""

from collections.abc import Sequence
from dataclasses import dataclass

THOUGHT = "I look at the question and work it out step by step."


@dataclass(frozen=True)
class AnswerFormat:
    """A form of answering: with a thought or without, and how the answer stands after it."""

    thinks: bool
    around: tuple[str, str]

    def __str__(self) -> str:
        thought = "<think>…</think>" if self.thinks else ""
        return thought + "…".join(self.around).replace("\n", " ")

    def fill(self, answer: str, prompt: str) -> str:
        """Return a completion of this shape; a `<think>` that ends the prompt is not repeated."""
        opening = "" if prompt.rstrip().endswith("<think>") else "<think>"
        thought = f"{opening}{THOUGHT}</think>\n" if self.thinks else ""
        return thought + answer.join(self.around)


TAGGED = ("<answer>", "</answer>")
BOXED = ("\\boxed{", "}")
BOTH = ("<answer>\\boxed{", "}</answer>")
FENCED = ("```python\n", "\n```")
STATED = ("The answer is ", ".")
BARE = ("", "")
AROUND = (TAGGED, BOXED, BOTH, FENCED, STATED, BARE)
ALL = [AnswerFormat(thinks, around) for thinks in (True, False) for around in AROUND]


def formats_asked_for(prompts: Sequence[str]) -> list[AnswerFormat]:
    """Return the shapes that obey all of the prompts; none where they ask for no form.

    A model may think without having been asked to.
    """

    def mentioned(text: str) -> bool:
        return all(text in prompt for prompt in prompts)

    thoughts = (True,) if mentioned("<think>") else (False, True)
    tags, box = mentioned("<answer>"), mentioned("\\boxed")
    if tags or box:
        around: Sequence[tuple[str, str]] = [BOTH if tags and box else TAGGED if tags else BOXED]
    elif mentioned("```"):
        around = [FENCED]
    else:
        around = AROUND if thoughts == (True,) else []
    return [AnswerFormat(thinks, each) for each in around for thinks in thoughts]
