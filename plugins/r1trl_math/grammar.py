"""math-verify's LaTeX grammar read in two stages, which takes a quarter of the time.

ANTLR predicts with a short context first (SLL) and with the full one (LL) only where that ends in
a syntax error. What SLL can read, LL reads as the same tree (Parr, Harwell and Fisher, "Adaptive
LL(*) Parsing", OOPSLA 2014, section 3.2), so every answer is understood as before.
"""

from typing import Any


def install() -> None:
    """Have the LaTeX reader of this process use the two stages."""
    from antlr4.atn.PredictionMode import PredictionMode
    from latex2sympy2_extended import latex2sympy2

    class TwoStageParser(latex2sympy2.PSParser):
        def math(self) -> Any:
            self._input.fill()  # what is no token fails here, as it would in either stage
            self._interp.predictionMode = PredictionMode.SLL
            try:
                return super().math()
            except Exception:  # noqa: BLE001 - the reader's listener raises no narrower one
                self.reset()
                self._interp.predictionMode = PredictionMode.LL
                return super().math()

    latex2sympy2.PSParser = TwoStageParser
