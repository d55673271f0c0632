"""Code tests: does the program in a completion pass them, in a sandbox that hides the tests?

DeepSeek-R1 rewards code by predefined test cases (arXiv 2501.12948, section 2.2). `answer` extracts
the program, `cases` parses the tests and compares results, `sandbox` is the interface of a sandbox;
`bubblewrap` (default), `remote` and `e2b` implement it. The folder `inside` runs in them.
"""

from collections.abc import Mapping
from typing import Any

import r1trl
from r1trl_code.reward import code


@r1trl.hookimpl
def r1trl_rewards() -> Mapping[str, Any]:
    """Offer `code`."""
    return {"code": code}
