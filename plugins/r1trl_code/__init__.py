"""Code tests: does the program in a completion pass them, in a sandbox that hides the tests?

DeepSeek-R1 rewards code by predefined test cases (arXiv 2501.12948, section 2.2). `answer` extracts
the program, `cases` parses and runs the tests, `comparison` compares results, and `sandbox` is the
interface of a sandbox, which `bubblewrap` (default) and `remote` implement. The folder `inside`
runs in them.
"""

from collections.abc import Mapping
from typing import Any

import r1trl
from r1trl_code.reward import code


@r1trl.hookimpl
def r1trl_rewards() -> Mapping[str, Any]:
    """Offer `code`."""
    return {"code": code}
