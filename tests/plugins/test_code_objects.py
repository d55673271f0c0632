"""Assertions about a solution's classes, objects and exceptions, which stay in its process."""

import pytest
from r1trl_code.reward import code

VECTOR = """
class Vector:
    count = 3
    def __init__(self, x, y): self.x, self.y = x, y
    def __eq__(self, other):
        return (self.x, self.y) == (other if isinstance(other, tuple) else (other.x, other.y))
    def __hash__(self): return hash((self.x, self.y))
    def __mul__(self, k): return Vector(self.x * k, self.y * k)
    __rmul__ = __mul__
    def __lt__(self, other): return self.x < other.x
    def __iadd__(self, other): self.x += other.x; return self
    def __neg__(self): return Vector(-self.x, -self.y)
    def __bool__(self): return self.x != 0
    def __repr__(self): return f"V({self.x}, {self.y})"
    @property
    def norm(self): return abs(self.x) + abs(self.y)
    @staticmethod
    def zero(): return Vector(0, 0)
    @classmethod
    def one(cls): return cls(1, 1)
def f(): return Vector(1, 2)
"""
ENUMS = """
from enum import Enum, IntEnum
class Color(Enum):
    RED = 1
    BLUE = "b"
class Level(IntEnum):
    LOW = 1
    HIGH = 2
class Word(str, Enum):
    X = "x"
def f(): return Color.RED
"""
ERRORS = """
import json, sys
class MyError(Exception):
    def __init__(self, code): super().__init__(f"bad {code}"); self.code = code
class Sub(MyError): pass
class Empty(KeyError): pass
class Account:
    class Poor(ValueError): pass
    def take(self): raise self.Poor("poor")
def f(x): raise Sub(x)
def empty(): raise Empty("k")
def key(): raise KeyError("a")
def leave(): sys.exit(3)
def parse(): json.loads("{")
def throw(error): raise error
"""
CLASSES = """
from abc import ABC, abstractmethod
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar
T = TypeVar("T")
class Shape(ABC):
    @abstractmethod
    def area(self): ...
class Square(Shape):
    def __init__(self, side): self.side = side
    def area(self): return self.side ** 2
@dataclass(order=True)
class Point:
    x: int
    y: int = 0
Pair = namedtuple("Pair", "a b")
class Row(NamedTuple):
    a: int
    b: str = "z"
class Cache(OrderedDict):
    def __init__(self, size): super().__init__(); self.size = size
    def get(self, key): return self[key] if key in self else -1
    def put(self, key, value):
        self[key] = value
        if len(self) > self.size: self.popitem(last=False)
class Stack(Generic[T]):
    def __init__(self): self.items = []
    def push(self, item: T): self.items.append(item)
    def __len__(self): return len(self.items)
    def __contains__(self, item): return item in self.items
class Three:
    n = 0
    def __iter__(self): return self
    def __next__(self):
        self.n += 1
        if self.n > 3: raise StopIteration
        return self.n
class Block:
    def __enter__(self): self.log = ["in"]; return self
    def __exit__(self, kind, error, trace): self.log.append(kind and kind.__name__)
class Silent(Block):
    def __exit__(self, *error): return True
class Twice(int):
    def double(self): return Twice(self * 2)
class Items(list):
    def last(self): return self[-1]
class Plain:
    def area(self): return 1
Shape.register(Plain)
sentinel = object()
def same(): return sentinel
"""
VALUES = """
import datetime, decimal, fractions, functools
from collections import Counter, deque
def gen(): yield 1; yield 2
def kind(): return int
def dec(): return decimal.Decimal("1.5")
def frac(): return fractions.Fraction(1, 3)
def day(): return datetime.date(2020, 1, 2)
def queue(): return deque([1, 2])
def shift(q): q.popleft()
def count(text): return Counter(text)
def root(): return 2 + 1j
async def later(): return 5
def echo(x): return x
@functools.lru_cache
def cached(x): return x + 1
"""
RIGHT = [
    (
        VECTOR,
        """
import copy, inspect
assert isinstance(f(), Vector) and type(f()) is Vector and type(f()).__name__ == "Vector"
assert issubclass(Vector, object) and isinstance(Vector, type) and inspect.isclass(Vector)
assert not isinstance(f(), (int, str, list, tuple)) and isinstance(Vector(1, 2).x, int)
assert callable(f) and callable(Vector) and not callable(f())
assert Vector(1, 2) == Vector(1, 2) != Vector(2, 2) and Vector(1, 2) in [Vector(0, 0), f()]
assert min(Vector(3, 0), Vector(1, 0)).x == sorted([Vector(2, 1), Vector(1, 1)])[0].x == 1
v = Vector(1, 1); v += Vector(2, 2)
assert v.x == 3 and (-v).x == -3 and v and not Vector(0, 1) and v is not None and v != None
assert len({Vector(1, 1), Vector(1, 1)}) == 1 and {Vector(1, 2): 7}[f()] == 7
assert v.norm == 4 and Vector.zero().x == 0 and Vector.one() == Vector(1, 1) and Vector.count == 3
assert f"{f()}" == str(f()) == repr(f()) == "V(1, 2)"
assert hasattr(v, "x") and not hasattr(v, "q") and hasattr(Vector, "norm")
assert vars(f()) == f().__dict__ == {"x": 1, "y": 2}
w = copy.deepcopy([v, copy.copy(v)])
assert w == [v, v] and w[0] is not v
""",
    ),
    (
        ENUMS,
        """
assert f() is Color.RED and f() == Color.RED != Color.BLUE and isinstance(f(), Color)
assert Color.RED.name == "RED" and Color.BLUE.value == "b" and Color["RED"] is Color(1)
assert [c.name for c in Color] == ["RED", "BLUE"] and len(Color) == 2 and Color.RED in Color
assert Level.LOW == 1 and Level.HIGH.name == "HIGH" and Level(2) is Level.HIGH > Level.LOW
assert isinstance(Level.LOW, int) and isinstance(Level.LOW, Level) and {Color.RED: 1}[f()] == 1
assert Word.X == "x" == Word.X.value and isinstance(Word.X, Word) and isinstance(Word.X, str)
assert str(Color.RED) == "Color.RED"
""",
    ),
    (
        ERRORS,
        """
import json, unittest
class Test(unittest.TestCase):
    def test_classes(self):
        for kind in (Sub, MyError, Exception):
            with self.assertRaises(kind) as caught: f(4)
        self.assertEqual((caught.exception.code, str(caught.exception)), (4, "bad 4"))
        self.assertEqual(caught.exception.args, ("bad 4",))
        with self.assertRaisesRegex(KeyError, "k"): empty()
        with self.assertRaises(Account.Poor): Account().take()
        with self.assertRaises(json.JSONDecodeError): parse()
        with self.assertRaises(KeyError) as caught: key()
        self.assertEqual((str(caught.exception), caught.exception.args[0]), ("'a'", "a"))
        with self.assertRaises(SystemExit) as caught: leave()
        self.assertEqual(caught.exception.code, 3)
    def test_raised_here(self):
        with self.assertRaises(MyError): raise MyError(2)
        with self.assertRaises(MyError) as caught: throw(MyError(7))
        self.assertEqual(caught.exception.code, 7)
        assert issubclass(Sub, MyError) and not issubclass(MyError, ValueError)
unittest.main()
""",
    ),
    (
        CLASSES,
        """
import dataclasses
assert isinstance(Square(2), Shape) and issubclass(Square, Shape) and Square(2).area() == 4
try: Shape()
except TypeError: pass
else: raise SystemError
assert Point(1) == Point(1, 0) < Point(2) and repr(Point(1)) == "Point(x=1, y=0)"
assert dataclasses.is_dataclass(Point) and sorted([Point(2), Point(1)])[0].x == 1
pair = Pair(1, 2)
assert pair == (1, 2) and pair.a == 1 and isinstance(pair, Pair) and isinstance(pair, tuple)
assert pair._replace(a=3).a == 3 and pair._asdict() == {"a": 1, "b": 2} and Pair._fields[0] == "a"
assert Row(1).b == "z" and Row(1) == (1, "z") and repr(Row(1)) == "Row(a=1, b='z')"
cache = Cache(2)
for n in (1, 2, 3): cache.put(n, n)
assert cache.get(1) == -1 and cache.get(3) == 3 and len(cache) == 2 and 3 in cache
assert cache == {2: 2, 3: 3}
stack = Stack[int]()
stack.push(1)
assert len(stack) == 1 and not Stack() and list(Three()) == [1, 2, 3]
with Block() as block: assert block.log == ["in"]
assert block.log == ["in", None]
try:
    with block: raise ValueError
except ValueError: pass
assert block.log == ["in", "ValueError"]
assert Twice(2).double() == 4 and isinstance(Twice(2), int) and isinstance(Twice(2), Twice)
items = Items([1, 2]); items.append(3)
assert items.last() == 3 == len(items) and items == [1, 2, 3] and items[0] == 1
assert same() is same() is sentinel
assert isinstance(Plain(), Shape) and issubclass(Plain, Shape) and not isinstance(1, Shape)
assert not isinstance(Plain(), (Square, int)) and not issubclass(Plain, Square)
""",
    ),
    (
        VALUES,
        """
import asyncio, datetime, inspect, types
from collections import deque
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
assert isinstance(gen(), types.GeneratorType) and inspect.isgenerator(gen())
assert isinstance(gen(), Iterator) and list(gen()) == [1, 2] and not isinstance(gen, Iterator)
assert kind() is int and dec() == Decimal("1.5") and isinstance(dec(), Decimal)
assert frac() == Fraction(1, 3) == echo(Fraction(1, 3)) and root() == 2 + 1j
assert day() == datetime.date(2020, 1, 2) and queue() == deque([1, 2])
q = deque([1, 2]); shift(q)
assert q == deque([2])
assert count("aab") == {"a": 2, "b": 1} and count("aab").most_common(1) == [("a", 2)]
assert asyncio.run(later()) == 5 and isinstance(gen, types.FunctionType)
assert cached(1) == 2 and cached.cache_info().misses == 1
""",
    ),
]


def score(program, tests):
    return code.function(f"```python\n{program}\n```", [{"assert": tests}])


@pytest.mark.parametrize(
    ("program", "tests"), RIGHT, ids=["vector", "enums", "errors", "classes", "values"]
)
def test_classes_and_objects_of_a_solution_work_in_its_tests(program, tests):
    assert score(program, tests) == 1
    last = "raise AssertionError" if "unittest" not in tests else ""
    broken = tests.replace("(4, ", "(5, ") if "unittest" in tests else tests + last
    assert score(program, broken) == 0


UNJUDGED = [
    (VECTOR, "assert Vector(1, 2) == (1, 2)", r"Vector\.__eq__"),
    (VECTOR, "assert (1, 2) != Vector(1, 3)", r"Vector\.__eq__"),
    (VECTOR, "assert (Vector(1, 2) * 2).x == 2", r"Vector\.__mul__"),
    (VECTOR, "assert (2 * Vector(1, 2)).x == 2", r"Vector\.__rmul__"),
    (CLASSES, "stack = Stack()\nassert 1 not in stack", r"Stack\.__contains__"),
    (CLASSES, "with Silent() as s: assert s.log == []", "__exit__"),
    (CLASSES, "class Mine(Shape):\n    def area(self): return 1\nMine()", "Mine"),
]


@pytest.mark.parametrize(("program", "tests", "message"), UNJUDGED)
def test_tests_that_need_the_solution_as_a_judge_raise(program, tests, message):
    with pytest.raises(ValueError, match=message):
        score(program, tests)


LIE = """
class Lie:
    def __eq__(self, other): return True
    def __contains__(self, item): return True
    def __instancecheck__(self, other): return True
    __class__ = int
def f(*args): return Lie()
"""
WRONG = [
    (VECTOR, "assert f() == (1, 2)"),
    (VECTOR, "assert isinstance(f(), int)"),
    (ENUMS, "assert f() == 1"),
    (ENUMS, "assert f() is Color.BLUE"),
    (ERRORS, "try: f(3)\nexcept ValueError: pass"),
    (ERRORS, "leave()"),
    (CLASSES, "assert Square(2) == 4"),
    (CLASSES, "with Block() as block: assert block.log == []"),
    (LIE, "assert f() == 1"),
    (LIE, "assert isinstance(f(), int)"),
    (LIE, "assert f() in (1, 2)"),
    (LIE, "assert 1 in f()"),
    (
        LIE.replace("def f(*args): return Lie()", "class f(Lie): pass"),
        "assert isinstance(f(), int)",
    ),
    ("class f(list):\n    def __eq__(self, other): return True", "assert f() == [1]"),
    ("def f(x): raise StopIteration", "assert all(map(f, [1, 2]))"),
    ("def f(x): raise StopIteration", "for found in map(f, [1, 2]): assert found == 1"),
    ("def f(x): raise KeyboardInterrupt", "f(1)"),
    ("def f(x): raise GeneratorExit", "f(1)"),
    (
        "import unittest\ndef f(): raise unittest.SkipTest",
        "import unittest\nclass Test(unittest.TestCase):\n    def test(self): f()\nunittest.main()",
    ),
    (
        "def f(): raise SystemExit(0)",
        "import unittest\nclass Test(unittest.TestCase):\n    def test(self): f()\nunittest.main()",
    ),
]


@pytest.mark.parametrize(("program", "tests"), WRONG)
def test_a_wrong_solution_fails_whatever_its_classes_say(program, tests):
    assert score(program, tests) == 0
