"""Commands in documents and in the help can be copied into zsh, which refuses what bash lets be.

zsh takes an unquoted [ ], { }, * or ? in a word for a pattern of files, and a ~ at its beginning
for a folder; it ends with "no matches found" where there is none.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from r1trl.cli import parser

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted(
    file
    for pattern in ("*.md", "docs/*.md", "benchmarks/*.md", "examples/**/*.md")
    for file in ROOT.glob(pattern)
)
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)
CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
PROGRAMS = ("r1trl ", "pip ", "ray ", "torchrun ", "accelerate ", "eval ")
OVERRIDE = re.compile(r"[~+]{0,2}[\w@][\w.@<>/-]*=\S[^(]*|~stages\S+")  # alone, to be typed too
PATTERNS = "[]{}*?"


def commands_of(text: str) -> Iterator[str]:
    """Yield what is typed: lines of blocks for a shell; commands and overrides in a line."""
    for language, block in BLOCK.findall(text):
        lines = block.replace("\\\n", " ").splitlines()
        if language in ("sh", "bash", "zsh"):
            yield from lines
        elif language == "console":
            yield from (line[2:] for line in lines if line.startswith("$ "))
    for code in CODE.findall(BLOCK.sub("", text)):
        if code.startswith(PROGRAMS) or OVERRIDE.fullmatch(code):
            yield code


def unquoted(command: str) -> list[str]:
    """Return the words of a command in which zsh finds a pattern."""
    found, word, quote, wrong, skip = list[str](), "", "", False, 0
    for i, char in enumerate(f"{command} "):
        if skip:
            skip -= 1
            word += char
        elif quote:
            quote = "" if char == quote else quote
            word += char
        elif char.isspace():
            if wrong:
                found.append(word)
            word, wrong = "", False
        elif char == "#" and not word:
            return found
        else:
            if char == "$" and (reference := re.match(r"\$\{\w+\}|\$\(", command[i:])):
                skip = len(reference[0]) - 1
            quote = char if char in "'\"" else ""
            skip = 1 if char == "\\" else skip
            wrong |= char in PATTERNS or (char == "~" and not word)
            word += char
    return found


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("r1trl run plugins.load=[a.py]", ["plugins.load=[a.py]"]),
        ("r1trl run 'plugins.load=[a.py]' x=1", []),
        ("r1trl run rewards={} name=x", ["rewards={}"]),
        ("r1trl run ~stages.zero", ["~stages.zero"]),
        ("r1trl run a~b '~stages.zero' # what?", []),
        ("r1trl run data=*.jsonl 'a'*", ["data=*.jsonl", "'a'*"]),
        ('r1trl run a\\[1] b=${HOME} "c=[d]" $(pwd)', ["a\\[1]"]),
    ],
)
def test_what_zsh_takes_for_a_pattern_is_found(command: str, words: list[str]) -> None:
    assert unquoted(command) == words


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_commands_of_a_document_can_be_copied_into_zsh(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert not [word for command in commands_of(text) for word in unquoted(command)]


def test_examples_of_the_help_can_be_copied_into_zsh() -> None:
    (commands,) = (a for a in parser()._actions if a.choices and a.dest == "command")
    epilogs = [str(each.epilog) for each in dict(commands.choices or {}).values()]
    examples = [line for text in epilogs for line in text.splitlines() if "  r1trl " in line]
    assert len(examples) > 20
    assert not [word for example in examples for word in unquoted(example)]
