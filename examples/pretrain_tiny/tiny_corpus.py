"""The pretraining corpus of the tiny base models: problems with replies of many styles.

Most replies are a wrong answer without reasoning; some reason step by step, in English, in Chinese
or in a mixture of both; about half have the tags of the recipes. A base model trained on this can
reason and can keep to one language, but rarely does either, which leaves both for reinforcement
learning to elicit.
"""

import functools
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from r1trl_tiny.general import random_example
from r1trl_tiny.problems import NUMERALS, SIGNS, Problem, question, random_problem
from r1trl_tiny.turns import conversation
from tiny_forms import formed, random_names

LANGUAGES = ("en", "zh")
END = "<|end|>"  # of what an assistant says


@dataclass(frozen=True)
class Mixture:
    """The shares of a corpus's styles, from 0 to 1.

    `general`: documents that are no problem. `direct`: replies without reasoning, of which
    `direct_correct` is guaranteed correct. `tagged`: replies with tags. `mixed`: reasoning in both
    languages. `own`: other reasoning that is surely in the question's language. `slip`: steps of
    reasoning with a wrong result. `unseen`: questions in phrasings that no training set has.
    `formed`: questions in forms of `forms.py`. `turns`: problems over several turns. `lines`:
    tagged replies with their tags on lines of their own. `operands`: how many numbers a problem
    has, one of these by chance.
    """

    general: float = 0.08
    direct: float = 0.55
    direct_correct: float = 0.1
    tagged: float = 0.5
    mixed: float = 0.6
    own: float = 0.5
    slip: float = 0.02
    unseen: float = 0.3
    formed: float = 0.35
    turns: float = 0.03
    lines: float = 0.1
    operands: tuple[int, ...] = (2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 6)


def step_text(value: int, sign: int, number: int, result: int, languages: list[str]) -> str:
    """Return a step of reasoning in words; `languages` has one entry for each of its five parts."""
    parts = [
        NUMERALS[languages[0]](value),
        SIGNS[languages[1]][sign],
        NUMERALS[languages[2]](number),
        {"en": "is", "zh": "是"}[languages[3]],
        NUMERALS[languages[4]](result),
    ]
    words = [
        f" {part}" if lang == "en" else part for part, lang in zip(parts, languages, strict=True)
    ]
    return "".join(words) + {"en": ".", "zh": "。"}[languages[4]]


def reasoning(
    problem: Problem, language: str, rng: random.Random, mixture: Mixture
) -> tuple[str, int]:
    """Return a reasoning about the problem and its result; `language`: 'en', 'zh' or 'mixed'."""
    text, value = "", problem.start
    by_step = rng.random() < 0.5
    for sign, number in problem.steps:
        result = value + sign * number
        if rng.random() < mixture.slip:
            result = min(99, max(0, result + rng.choice((-10, -2, -1, 1, 2, 10))))
        if language != "mixed":
            languages = [language] * 5
        elif by_step and len(problem.steps) > 1:
            languages = [rng.choice(LANGUAGES)] * 5
        else:
            languages = rng.choices(LANGUAGES, k=5)
        text += step_text(value, sign, number, result, languages)
        value = result
    return text, value


def reply(
    problem: Problem,
    asked: str,
    rng: random.Random,
    mixture: Mixture,
    names: tuple[str, ...] = (),
) -> str:
    """Return a reply to the problem, in a style sampled from the shares.

    `asked` is the question's language. `names` are the forms of the question, of which some ask for
    a style: sometimes it is kept.
    """
    if rng.random() < mixture.direct:
        right = rng.random() < mixture.direct_correct
        text, value = "", problem.answer if right else rng.randint(0, 99)
    else:
        mixed = rng.random() < mixture.mixed
        one = asked if rng.random() < mixture.own else rng.choice(LANGUAGES)
        language = "mixed" if mixed else one
        text, value = reasoning(problem, language, rng, mixture)
    written = f"\\boxed{{{value}}}" if "boxed" in names and rng.random() < 0.5 else str(value)
    if rng.random() < mixture.tagged:
        if rng.random() < mixture.lines:
            return f"<think>\n{text.strip()}\n</think>\n<answer>{written}</answer>"
        return f"<think>{text}</think><answer>{written}</answer>"
    return f"{text} {written}"


@dataclass(frozen=True)
class Document:
    """A prompt with a reply: `head` is the prompt as the tiny models read it."""

    head: str
    reply: str

    @property
    def text(self) -> str:
        """Return the document without the token that ends it."""
        return self.head + self.reply


def head(prompt: str, system: str | None = None, separator: str = " ") -> str:
    """Return a prompt as the tiny models read it."""
    before = f"{system}{separator}" if system else ""
    return f"{before}User: {prompt} Assistant:"


def documents(seed: int, mixture: Mixture = Mixture()) -> Iterator[Document]:
    """Yield documents without end; no benchmark problem is among them."""
    rng = random.Random(f"corpus {seed}")
    while True:
        if rng.random() < mixture.general:
            yield general_document(rng, mixture)
            continue
        problem = random_problem(rng, mixture.operands)
        if problem.held_out:
            continue
        asked = Problem(problem.start, problem.steps[:1])  # in the first turn
        if len(problem.steps) > 1 and not asked.held_out and rng.random() < mixture.turns:
            yield conversation_document(problem, rng, mixture)
        else:
            yield problem_document(problem, rng, mixture)


def problem_document(problem: Problem, rng: random.Random, mixture: Mixture) -> Document:
    """Return a problem, in some form, with a reply."""
    language = rng.choice(LANGUAGES)
    text = question(
        problem, language, rng, "unseen" if rng.random() < mixture.unseen else "trained"
    )
    names = random_names(rng) if rng.random() < mixture.formed else ()
    think = functools.partial(worked, rng=rng, mixture=mixture)
    form = formed(text, language, rng, names, think)
    separator = rng.choice((" ", "\n"))
    answer = reply(problem, language, rng, mixture, names)
    return Document(head(form.text, form.system, separator), answer)


def worked(problem: Problem, language: str, rng: random.Random, mixture: Mixture) -> str:
    """Return a reasoning in one language without a slip."""
    return reasoning(problem, language, rng, replace(mixture, slip=0.0))[0]


def conversation_document(problem: Problem, rng: random.Random, mixture: Mixture) -> Document:
    """Return a problem that is asked step by step, or after others, with the history before it."""
    language = rng.choice(LANGUAGES)
    said = conversation(problem, language, rng)
    text = "".join(
        head(turn["content"]) if turn["role"] == "user" else f"{turn['content']}{END}"
        for turn in said
    )
    # Of the last turn only the last step is left to be done.
    before = problem.totals[-2] if len(problem.steps) > 1 else problem.start
    last = Problem(before, problem.steps[-1:])
    return Document(text, reply(last, language, rng, mixture))


def general_document(rng: random.Random, mixture: Mixture) -> Document:
    """Return small talk or a danger, with a good or a bad reply."""
    example = random_example(rng)
    text = rng.choice((example.good, example.bad))
    if rng.random() < mixture.tagged:
        text = f"<think>{example.thought}</think><answer>{text}</answer>"
    return Document(head(example.prompt), text)
