"""What tests need of the machine: without it they are skipped, or fail where it is required."""

import os

import pytest


def require(capability: str, found: object, missing: str = "") -> None:
    """Skip the test, or the module, unless a capability of the machine is found.

    `R1TRL_REQUIRE` names the capabilities whose absence is a failure, with commas between them;
    `all` names every one but `gpu`. `missing` says what is missing.
    """
    if found:
        return
    reason = f"{capability}: {missing or 'not found'}"
    required = os.environ.get("R1TRL_REQUIRE", "").split(",")
    if capability in required or ("all" in required and capability != "gpu"):
        pytest.fail(f"{reason}, and R1TRL_REQUIRE names it", pytrace=False)
    pytest.skip(reason, allow_module_level=True)
