"""Does the program in a completion pass its tests? Run in a sandbox, out of sight of the tests.

DeepSeek-R1 rewards code by predefined test cases (arXiv 2501.12948, section 2.2). `answer` finds
the program, `cases` reads the tests and compares results, `sandbox` says what a sandbox does;
`bubblewrap` (default), `remote` and `e2b` are such. What runs in them is in the folder `inside`.
"""

from collections.abc import Mapping
from typing import Any

import r1trl
from r1trl_code.reward import code


@r1trl.hookimpl
def r1trl_rewards() -> Mapping[str, Any]:
    """Offer `code`."""
    return {"code": code}
