"""Extraction of the program from a completion: the last Python block after the thinking."""

import re
import textwrap
from dataclasses import dataclass, field

import r1trl

RUN = re.compile(r"`{3,}|~{3,}")
PYTHON = re.compile(r"\{?\s*\.?(?:python|pypy|py)[\d.]*(?=[\s,:;{}]|$)[,:;}]?", re.IGNORECASE)
CODE = re.compile(r"(?:import|from|def|class|for|while|if|with|try)\b|[\w.]+\(|[\w.,\[\] ]+ = ")
CLOSING_TAG = re.compile(r"\s*<[/|]\w+\|?>")
STRING = re.compile(r"\"[^\"]*\"|'[^']*'")


@dataclass
class Block:
    """An open block: its fence, whether its info string names Python, and its lines so far."""

    fence: str
    tagged: bool
    untagged: bool
    lines: list[str] = field(default_factory=list)
    quotes: int = 0

    def ends_with(self, line: str) -> bool:
        """Add a line; return True if it closes the block, alone or at the end of its code."""
        run = _last_run(line)
        closes = run is not None and run[0].startswith(self.fence) and _ends(line, run.end())
        code = line[: run.start()] if run and closes else line
        if closes and code.strip():
            closes = not self._quotes(code)
            code = code if closes else line
        if not closes or code.strip():
            self.lines.append(code)
            self.quotes += code.count('"""') + code.count("'''")
        return closes

    def _quotes(self, code: str) -> bool:
        """Return True if what follows this code on its line is in a comment or a string."""
        quotes = self.quotes + code.count('"""') + code.count("'''")
        return quotes % 2 == 1 or bool(set("#\"'") & set(STRING.sub("", code)))

    @property
    def program(self) -> str:
        """Return the lines without their common indentation."""
        return textwrap.dedent("\n".join(self.lines))


def find_program(completion: str) -> str | None:
    """Return the last closed block after the last `</think>` that is tagged as Python.

    Without a tagged block it is the last untagged one. A fence may open after text on its line, as
    in `<answer>```python`, and close at the end of the last line of code. Returns None if there is
    no such block, or if the thinking has not ended; text outside of fences is never a program.
    """
    tagged = untagged = block = None
    for line in (r1trl.final_part(completion) or "").replace("\r\n", "\n").split("\n"):
        if block is None:
            block, line = _opened(line)
            if block is None or not line:
                continue
        if block.ends_with(line):
            tagged = block if block.tagged else tagged
            untagged = block if block.untagged else untagged
            block = None
    found = tagged or untagged
    return found.program if found else None


def _opened(line: str) -> tuple[Block | None, str]:
    """Return the block that a line opens, and the code that follows on the line."""
    run = RUN.search(line)
    if run is None:
        return None, ""
    info, before = line[run.end() :].strip(), line[: run.start()].strip()
    tag = PYTHON.match(info)
    rest = info[tag.end() :].strip() if tag else ""
    if tag and CODE.match(rest):
        return Block(run[0], True, False), rest
    prose = before and not tag and (len(info.split()) > 1 or run[0][0] == "~")
    if prose or "`" in info:
        return None, ""
    return Block(run[0], bool(tag), not info), ""


def _last_run(line: str) -> re.Match[str] | None:
    return max(RUN.finditer(line), key=re.Match.start, default=None)


def _ends(line: str, position: int) -> bool:
    """Return True if nothing but white space, or a closing or special tag, follows."""
    rest = line[position:]
    return not rest.strip() or CLOSING_TAG.match(rest) is not None
