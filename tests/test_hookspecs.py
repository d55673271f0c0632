"""Every hook says what it is for, and has a test."""

import inspect
from pathlib import Path

import pytest

from r1trl import hookspecs
from r1trl.plugins.hooks import HOOK_OF
from r1trl.types import ROLES

HOOKS = [name for name in vars(hookspecs) if name.startswith("r1trl_")]
TESTS = (Path(__file__).parent / "plugins" / "test_loading.py").read_text(encoding="utf-8")


def test_there_is_an_offering_hook_for_every_role_and_three_that_observe() -> None:
    observing = {"r1trl_stage_started", "r1trl_logged", "r1trl_stage_finished"}
    assert set(HOOKS) == {HOOK_OF[role] for role in ROLES} | observing


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_specified_documented_and_exercised(hook: str) -> None:
    specified = getattr(hookspecs, hook)
    assert specified.r1trl_spec, "the decorator @hookspec is missing"
    assert inspect.getdoc(specified)
    assert f"def {hook}(" in TESTS, "tests/plugins/test_loading.py has no plugin with it"


def test_the_offering_hooks_take_nothing_and_return_a_mapping() -> None:
    for role in ROLES:
        signature = inspect.signature(getattr(hookspecs, HOOK_OF[role]))
        assert not signature.parameters
        assert signature.return_annotation.startswith("Mapping[str, ")
