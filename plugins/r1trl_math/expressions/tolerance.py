"""Numerical equality by relative error, in place of math-verify's rounding to six places.

math-verify takes 1/2^98 and 1/2^99 for equal, and so 1.6e-19 and 6e-23, since both round to 0. Here
two values that it finds equal must also be equal relative to their size: to 12 digits if both are
exact, to 5 if one is a decimal, which may have been rounded.
"""

from typing import Any

DIGITS = 30
EXACT, ROUNDED = 1e-12, 1e-5


def install() -> None:
    """Replace math-verify's numerical comparison in this process by one that this refines."""
    from math_verify import grader

    original = grader.sympy_numeric_eq

    def numeric_eq(a: Any, b: Any, float_rounding: int, numeric_precision: int) -> bool:
        equal = original(a, b, float_rounding, numeric_precision)
        return bool(equal) and not are_far_apart(a, b)

    grader.sympy_numeric_eq = numeric_eq


def are_far_apart(a: Any, b: Any) -> bool:
    """Return True if two expressions differ by a number that is no rounding of their terms."""
    from sympy import Add, Expr, Float, UnevaluatedExpr, expand

    for side in (a, b):  # a percentage equals its number, and matrices are compared by entry
        if not isinstance(side, Expr) or side.has(UnevaluatedExpr):
            return False
    try:
        first, second = a.doit(), b.doit()
        difference = expand(first - second)
        if difference.free_symbols:
            return False
        terms = Add.make_args(first) + Add.make_args(second)
        sizes = [abs(term.evalf(DIGITS)) for term in terms if not term.free_symbols]
        tolerance = ROUNDED if a.has(Float) or b.has(Float) else EXACT
        return bool(abs(difference.evalf(DIGITS)) > tolerance * max(sizes))
    except Exception:  # noqa: BLE001 - sympy raises all sorts; math-verify's verdict stands then
        return False
