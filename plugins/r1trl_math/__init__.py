r"""Accuracy in mathematics: is the completion's answer equal to the gold answer?

DeepSeek-R1 rewards a mathematical answer by rule: the final answer is asked for in a fixed form,
such as a box, and matched (arXiv 2501.12948, section 2.2). `answers` extracts the answer from the
completion, `readings` tells its mathematics from its words, `verdict` compares texts, numbers,
quantities and special forms, and `expressions` has math-verify compare the rest.
"""

from collections.abc import Mapping
from typing import Any

import r1trl
from r1trl_math.reward import accuracy


@r1trl.hookimpl
def r1trl_rewards() -> Mapping[str, Any]:
    """Offer `accuracy`."""
    return {"accuracy": accuracy}
