"""Refutation by values: expressions with different values at one point are not equal.

math-verify simplifies the difference of two expressions before it returns False, which takes tens
of milliseconds; evaluating them takes less than one. Equality is never decided here.
"""

import cmath
from typing import Any

POINTS = (0.7390851, 1.3247180, 2.6854520, 0.2614972)
TOLERANCE = 1e-4


def differ(left: Any, right: Any) -> bool:
    """Return True if two parsed expressions have different values and so cannot be equal.

    False if that is undecided: for expressions without a value (sets, relations, names, infinity),
    for values within math-verify's rounding to six places, and for percentages, which math-verify
    takes as equal to their number. Of equations, only y = f and y = g are compared.
    """
    from sympy import Eq, Expr, Symbol, UnevaluatedExpr

    if isinstance(left, Eq) and isinstance(right, Eq) and left.lhs == right.lhs:
        name = left.lhs
        free = left.rhs.free_symbols | right.rhs.free_symbols
        return isinstance(name, Symbol) and name not in free and differ(left.rhs, right.rhs)
    for side in (left, right):
        if not isinstance(side, Expr) or isinstance(side, Symbol) or side.has(UnevaluatedExpr):
            return False
    symbols = sorted({symbol.name for symbol in left.free_symbols | right.free_symbols})
    if len(symbols) > len(POINTS):
        return False
    point = dict(zip(symbols, POINTS, strict=False))
    first, second = value(left, point), value(right, point)
    if first is None or second is None:
        return False
    return abs(first - second) > TOLERANCE * max(1.0, abs(first), abs(second))


def value(expression: Any, point: dict[str, float]) -> complex | None:
    """Return an expression's value at a point, given by symbol name; None if it has no value."""
    at = {symbol: point[symbol.name] for symbol in expression.free_symbols}
    try:
        result = complex(expression.evalf(subs=at))
    except Exception:  # noqa: BLE001 - sympy raises all sorts; math-verify decides then
        return None
    return result if cmath.isfinite(result) else None
