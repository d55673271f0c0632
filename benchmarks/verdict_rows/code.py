"""Rows in the shapes of LeetCode and of contests, with right and wrong answers in surface forms.

Each template makes four rows, by a number k; each row has a right and a wrong program in all forms.
"""

import math
import textwrap
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

Case = tuple[str, str, dict[str, Any], bool]  # form, completion, columns, right
VARIANTS = (2, 3, 4, 5)


class Template(NamedTuple):
    """A right program or a method's signature and right body, a wrong one, inputs, the answer."""

    right: str
    wrong: str
    inputs: list[Any]
    answer: Callable[..., Any]


LEETCODE = [
    Template(
        "both(self, xs: List[int]) -> List[int]:\nreturn [min(xs) + K, max(xs)]",
        "return [max(xs), min(xs) + K]",
        [[[3, 1, 9]], [[5, 40]]],
        lambda k, xs: [min(xs) + k, max(xs)],
    ),
    Template(
        "top(self, xs: List[int]) -> List[int]:\nreturn nlargest(K, xs)",
        "return nsmallest(K, xs)",
        [[[4, 8, 1, 9, 6, 2]], [[5, 3, 7, 11, 13, 17]]],
        lambda k, xs: sorted(xs)[::-1][:k],
    ),
    Template(
        "common(self, s: str) -> Dict:\nreturn {c: n for c, n in Counter(s).items() if n >= K}",
        "return {c: n for c, n in Counter(s).items() if n <= K}",
        [["aabbbccccddddde"], ["zzzzzzy"]],
        lambda k, s: {c: s.count(c) for c in set(s) if s.count(c) >= k},
    ),
    Template(
        "find(self, xs: List[int], x: int) -> Optional[int]:\nreturn x * K if x in xs else None",
        "return x * K if x in xs else 0",
        [[[7, 8, 9], 9], [[1, 2], 3]],
        lambda k, xs, x: x * k if x in xs else None,
    ),
    Template(
        "up(self, n: int) -> int:\n@cache\ndef f(i): return K * f(i - 1) if i else 1\nreturn f(n)",
        "@cache\ndef f(i): return K * f(i - 1) if i else 0\nreturn f(n)",
        [[5], [12]],
        lambda k, n: k**n,
    ),
    Template(
        "rotate(self, xs: List[int]) -> List[int]:\nxs = deque(xs)\nxs.rotate(K)\nreturn list(xs)",
        "xs = deque(xs)\nxs.rotate(-K)\nreturn list(xs)",
        [[[1, 2, 3, 4, 5, 6, 7]], [[9, 8, 7, 6, 5, 3, 2, 1, 0]]],
        lambda k, xs: xs[-k:] + xs[:-k],
    ),
    Template(
        "mean(self, xs: List[float]) -> float:\nreturn sum(xs) / len(xs) / K",
        "return sum(xs) // len(xs) / K",
        [[[0.1, 0.2, 0.4]], [[0.5, -0.25, -0.25]]],
        lambda k, xs: round(sum(xs) / len(xs) / k, 15),
    ),
    Template(
        "ways(self, n: int) -> int:\nreturn math.comb(n, K) % gcd(1000, 10**9)",
        "return math.perm(n, K) % gcd(1000, 10**9)",
        [[9], [11]],
        lambda k, n: math.comb(n, k) % 1000,
    ),
    Template(
        "place(self, xs: List[int], x: int) -> Tuple:\nreturn bisect_left(xs, x) + K, x in xs",
        "return bisect_left(xs, x) + K, x not in xs",
        [[[1, 3, 5], 4], [[2, 4], 2]],
        lambda k, xs, x: [sum(y < x for y in xs) + k, x in xs],
    ),
    Template(
        "sums(self, xs: List[int]) -> List[Tuple]:\nreturn [[s, s % K] for s in accumulate(xs)]",
        "return [[s, s % K] for s in xs]",
        [[[1, 2, 3]], [[5, 5]]],
        lambda k, xs: [[sum(xs[: i + 1]), sum(xs[: i + 1]) % k] for i in range(len(xs))],
    ),
]
CONTESTS = [
    Template("print(int(input()) * K)", "print(int(input()) + K)", ["4", "-7"], lambda k, n: n * k),
    Template(
        "a, b = map(int, input().split())\nprint(a + b, a % K)",
        "a, b = map(int, input().split())\nprint(a - b, a % K)",
        ["3 4", "10 -2"],
        lambda k, a, b: f"{a + b} {a % k}",
    ),
    Template(
        "n = int(input())\nprint(n // K, 'NO' if n % K else 'YES')",
        "n = int(input())\nprint(n // K, 'YES' if n % K else 'NO')",
        ["60", "63"],
        lambda k, n: f"{n // k} {'NO' if n % k else 'YES'}",
    ),
    Template(
        "n = int(input())\nfor i in range(1, n + 1):\n    print(i * K)",
        "n = int(input())\nfor i in range(1, n):\n    print(i * K)",
        ["3", "5"],
        lambda k, n: "\n".join(str(i * k) for i in range(1, n + 1)),
    ),
    Template(
        "import sys\nxs = [int(x) for x in sys.stdin.read().split()]\nprint(max(xs) ** K)",
        "import sys\nxs = [int(x) for x in sys.stdin.read().split()]\nprint(min(xs) ** K)",
        ["1 5 2", "7 8"],
        lambda k, *xs: max(xs) ** k,
    ),
    Template(
        "print(int(input()) / K)", "print(int(input()) // K)", ["31", "61"], lambda k, n: n / k
    ),
    Template(
        "n = int(input())\nprint(math.sin(n * math.pi) + K)",
        "n = int(input())\nprint(math.cos(n * math.pi) + K)",
        ["1", "4"],
        lambda k, n: f"{k}.0",
    ),
    Template(
        "s = str(int(input()))\nprint(s.zfill(6)[:K + 1])",
        "s = str(int(input()))\nprint(s[:K + 1])",
        ["42", "7"],
        lambda k, n: f"{n:06}"[: k + 1],
    ),
    Template(
        "from collections import Counter\nprint(Counter(input().split()).most_common(1)[0][1] + K)",
        "from collections import Counter\nprint(len(Counter(input().split())) + K + 9)",
        ["1 1 2", "5 4 5 5"],
        lambda k, *xs: max(map(xs.count, xs)) + k,
    ),
    Template(
        "n = int(input())\nwhile n > K:\n    n //= 2\nprint(n)",
        "n = int(input())\nwhile n >= 1:\n    n //= 2\nprint(n)",
        ["37", "83"],
        lambda k, n: next(n >> i for i in range(9) if n >> i <= k),
    ),
]
DRAFT = "<think>Perhaps\n```python\nprint('no')\n```\nNo.</think>\n"
FENCES: dict[str, str] = {
    "a fence": "Here it is.\n```python\n{}\n```\nIt is fast.",
    "in an answer tag": "<think>Let me see.</think>\n<answer>```python\n{}\n```</answer>",
    "closed on the last line": "```python\n{}```",
    "opened after text": "The program: ```py\n{}\n```",
    "no language": DRAFT + "```\n{}\n```",
    "tildes": "~~~python3\n{}\n~~~",
    "output after it": "```python\n{}\n```\nIt prints:\n```text\n1\n```\nor\n```\n2\n```",
}


def leetcode() -> Iterator[Case]:
    """Yield the answers to 40 rows of starter code with calls."""
    endings = {"prints": "\nprint('done')", "exits": "\nexit()"}
    endings["a main guard"] = "\n\nif __name__ == '__main__':\n    print(Solution())"
    for template in LEETCODE:
        for k in VARIANTS:
            signature, _, right_body = template.right.partition("\n")
            name = f"Solution.{signature.partition('(')[0]}"
            tests = [
                {"call": name, "args": args, "returns": template.answer(k, *args)}
                for args in template.inputs
            ]
            for body, right in ((right_body, True), (template.wrong, False)):
                method = f"def {signature}\n{textwrap.indent(body, '    ')}"
                program = f"class Solution:\n{textwrap.indent(method, '    ')}"
                yield from _answers(program.replace("K", str(k)), endings, tests, right)


def contest() -> Iterator[Case]:
    """Yield the answers to 40 rows of input and output."""
    for template in CONTESTS:
        for k in VARIANTS:
            tests = [
                {"input": given, "output": str(template.answer(k, *map(int, given.split())))}
                for given in template.inputs
            ]
            for body, right in ((template.right, True), (template.wrong, False)):
                program = body.replace("K", str(k))
                endings = {"exits": "\nexit()", "quits": "\nimport os\nquit(0)"}
                yield from _answers(program, endings, tests, right)
                main = f"def main():\n{textwrap.indent(program, '    ')}\n    exit()\n\n"
                guarded = f"{main}if __name__ == '__main__':\n    main()"
                yield (
                    "a main guard",
                    FENCES["a fence"].replace("{}", guarded),
                    {"tests": tests},
                    right,
                )


def _answers(
    program: str, endings: dict[str, str], tests: list[Any], right: bool
) -> Iterator[Case]:
    for form, fence in FENCES.items():
        yield form, fence.replace("{}", program), {"tests": tests}, right
    for form, ending in endings.items():
        yield form, FENCES["a fence"].replace("{}", program + ending), {"tests": tests}, right
