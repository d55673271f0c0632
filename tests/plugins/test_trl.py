"""TRL's own rewards under r1trl: the same names, the same options, the same values."""

import inspect
import subprocess
import sys

import pytest
import r1trl_trl

from r1trl.config.stage_parts import ScoringConfig
from r1trl.plugins.loading import load
from r1trl.plugins.offer import Offer
from r1trl.rewards.scorer import make_scorer

offered = r1trl_trl.r1trl_rewards()
SCORING = ScoringConfig(deadline=5.0, processes=1, max_failure_rate=1.0)
COMPLETIONS = [
    "<think>a</think>\\boxed{4}",
    "<think>a</think>\\boxed{5}",
    "\\boxed{4}",
    "<think>a<think>b</think>\\boxed{\\frac{8}{2}}",
    "<think>a</think><reply>\\boxed{4}",
    "",
]
SOLUTIONS = ["4", "4", "4", "4", "4", "no answer at all"]
IDS = [[1, 2, 3], [1, 1, 1, 1], [1] * 8, [1] * 12, [], [1, 2, 1, 2, 1]]


def original(name: str):
    """Return TRL's function for an offered name, and whether it is a factory."""
    import trl.rewards

    plain = name.removeprefix("trl_")
    if hasattr(trl.rewards, f"{plain}_reward"):
        return getattr(trl.rewards, f"{plain}_reward"), False
    made = [f"get_{plain}", f"get_{plain}_reward"]
    return next(getattr(trl.rewards, found) for found in made if hasattr(trl.rewards, found)), True


def test_importing_the_plugin_imports_no_trl():
    code = "import sys, r1trl_trl; print({'trl', 'torch', 'math_verify'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.slow
def test_every_reward_of_trl_is_offered():
    import trl.rewards

    theirs = {name for name in dir(trl.rewards) if not name.startswith("_")}
    theirs = {name for name in theirs if inspect.isfunction(getattr(trl.rewards, name))}
    assert {original(name)[0].__name__ for name in offered} == theirs


@pytest.mark.slow
@pytest.mark.parametrize("name", offered)
def test_options_have_the_names_and_defaults_of_trls_parameters(name):
    function, _ = original(name)
    given = ("completions", "completion_ids", "solution", "log_extra", "kwargs")
    theirs = {
        parameter.name: (parameter.default, parameter.annotation)
        for parameter in inspect.signature(function).parameters.values()
        if parameter.name not in given
    }
    ours = Offer("reward", name, "trl", offered[name]).options
    assert {key: (value.default, value.annotation) for key, value in ours.items()} == theirs


OPTIONS = [
    ("trl_accuracy", {}),
    ("trl_reasoning_accuracy", {}),
    ("trl_reasoning_accuracy", {"reasoning_delimiters": ["<reply>"]}),
    ("trl_think_format", {}),
    ("trl_cosine_scaled", {"max_len": 10}),
    (
        "trl_cosine_scaled",
        {
            "max_len": 9,
            "min_value_wrong": -4.0,
            "max_value_wrong": -2.0,
            "min_value_correct": 2.0,
            "max_value_correct": 8.0,
        },
    ),
    ("trl_repetition_penalty", {}),
    ("trl_repetition_penalty", {"ngram_size": 2, "max_penalty": -0.5}),
    ("trl_soft_overlong_punishment", {"max_completion_len": 10, "soft_punish_cache": 5}),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "options"), OPTIONS)
def test_scored_in_a_stage_a_reward_has_the_values_of_trl_called_directly(name, options):
    scorer = make_scorer({"mine": {"reward": name, **options}}, SCORING, load())
    columns = {"prompt": ["p"] * 6, "completion": COMPLETIONS, "completion_ids": IDS}
    found = scorer.score({**columns, "solution": SOLUTIONS}).values["mine"]
    scorer.close()
    function, makes = original(name)
    arguments = {
        "completions": [[{"role": "assistant", "content": text}] for text in COMPLETIONS],
        "completion_ids": IDS,
        "solution": SOLUTIONS,
    }
    theirs = function(**options)(**arguments) if makes else function(**arguments, **options)
    assert found == theirs
    assert len(set(found)) > 1
