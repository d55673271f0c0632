"""The rewards `soft_overlong`, `cosine_length` and `group_length`."""

import math

import pytest
import r1trl_length

from r1trl.config.stage_parts import ScoringConfig
from r1trl.plugins.loading import load
from r1trl.rewards.scorer import make_scorer

SCORING = ScoringConfig(deadline=5.0, processes=1, max_failure_rate=1.0)
offered = r1trl_length.r1trl_rewards()


def tokens(*lengths: int) -> list[list[int]]:
    """Return completions' token ids of these lengths."""
    return [[7] * length for length in lengths]


def values(reward, lengths, correctness=None, prompts=None, name="accuracy", **options):
    """Score completions of these lengths."""
    columns = {} if correctness is None else {"rewards": {name: correctness}}
    texts = [""] * len(lengths)
    return reward(prompts or texts, texts, tokens(*lengths), **columns, **options)


OVERLONG = [
    (0, 0.0),
    (79, 0.0),
    (80, 0.0),
    (81, -0.05),
    (90, -0.5),
    (99, -0.95),
    (100, -1.0),
    (101, -1.0),
    (1000, -1.0),
]


@pytest.mark.parametrize(("length", "expected"), OVERLONG)
def test_the_last_tokens_before_the_limit_are_punished_linearly(length, expected):
    assert values(offered["soft_overlong"](max_tokens=100, cache=20), [length]) == [expected]


@pytest.mark.slow
def test_soft_overlong_and_cosine_length_have_trls_values_at_every_length():
    from trl.rewards import get_soft_overlong_punishment

    lengths = range(130)
    for limit, cache in ((100, 20), (100, 99), (100, 1), (7, 3)):
        ours = values(offered["soft_overlong"](max_tokens=limit, cache=cache), lengths)
        assert ours == get_soft_overlong_punishment(limit, cache)(tokens(*lengths))

    from trl.rewards import get_cosine_scaled_reward

    bounds = (-2.0, -0.25, 0.125, 3.0)
    theirs = get_cosine_scaled_reward(100, *bounds)
    names = ("min_wrong", "max_wrong", "min_correct", "max_correct")
    made = offered["cosine_length"](max_tokens=100, **dict(zip(names, bounds, strict=True)))
    for answer, solution, correctness in (("4", "4", 1.0), ("5", "4", 0.0), ("5", "", None)):
        chats = [[{"role": "assistant", "content": f"\\boxed{{{answer}}}"}]] * 130
        expected = theirs(chats, [solution] * 130, tokens(*lengths))
        found = values(made, lengths, [correctness] * 130)
        assert [v is None for v in found] == [v is None for v in expected]
        assert found == pytest.approx(expected)


@pytest.mark.parametrize(("limit", "cache"), [(100, 0), (100, -1), (100, 100), (100, 101), (0, 0)])
def test_a_cache_that_is_no_part_of_the_limit_is_refused(limit, cache):
    with pytest.raises(ValueError, match=rf"cache={cache} must be from 1 to max_tokens - 1"):
        offered["soft_overlong"](max_tokens=limit, cache=cache)


COSINE = [
    (0, 1.0, 1.0),
    (25, 1.0, 0.75 + 0.25 * math.sqrt(0.5)),
    (50, 1.0, 0.75),
    (100, 1.0, 0.5),
    (150, 1.0, 0.5),
    (200, 1.0, 0.5),
    (0, 0.0, -1.0),
    (25, 0.0, -0.75 - 0.25 * math.sqrt(0.5)),
    (50, 0.0, -0.75),
    (100, 0.0, -0.5),
    (200, 0.0, -0.5),
    (50, 0.5, -0.75),
    (50, -1.0, -0.75),
]


@pytest.mark.parametrize(("length", "correctness", "expected"), COSINE)
def test_correct_pays_more_when_short_and_wrong_costs_more(length, correctness, expected):
    found = values(offered["cosine_length"](max_tokens=100), [length], [correctness])
    assert found == pytest.approx([expected])


def test_a_length_is_worth_nothing_where_correctness_is_not_known():
    assert values(offered["cosine_length"](max_tokens=9), [3, 3], [None, 1.0])[0] is None
    assert values(offered["group_length"], [3, 4, 5], [None, 1.0, 1.0])[0] is None


def test_the_named_reward_says_what_is_correct():
    options = {"max_tokens": 100, "correct": "judge"}
    assert values(offered["cosine_length"](**options), [0], [1.0], name="judge") == [1.0]
    found = values(offered["group_length"], [1, 2], [1.0, 1.0], name="judge", correct="judge")
    assert found == [0.5, -0.5]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_tokens": 0}, "max_tokens=0 must be positive"),
        ({"max_tokens": 9, "min_wrong": 0.0}, r"a min above its max: wrong 0.0 to -0.5"),
        ({"max_tokens": 9, "max_correct": 0.4}, r"correct 0.5 to 0.4"),
    ],
)
def test_impossible_bounds_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        offered["cosine_length"](**options)


GROUPS = [
    ("aaa", [10, 20, 30], [1.0, 1.0, 1.0], [0.5, 0.0, -0.5]),
    ("aaa", [10, 20, 30], [0.0, 0.0, 0.0], [0.0, 0.0, -0.5]),
    ("aaaaa", [10, 15, 20, 25, 30], [1.0, 0.0, 1.0, 0.0, 1.0], [0.5, 0.0, 0.0, -0.25, -0.5]),
    ("aaa", [20, 20, 20], [1.0, 0.0, 1.0], [0.0, 0.0, 0.0]),
    ("a", [20], [1.0], [0.0]),
    ("aabb", [10, 20, 100, 200], [1.0] * 4, [0.5, -0.5, 0.5, -0.5]),
    ("abab", [10, 100, 20, 200], [1.0] * 4, [0.5, 0.5, -0.5, -0.5]),
    ("aab", [10, 20, 1000], [1.0] * 3, [0.5, -0.5, 0.0]),
    ("aaa", [1, 10, 20], [None, 1.0, 1.0], [None, 0.5, -0.5]),
    ("aaa", [10, 20, 99], [1.0, 0.0, None], [0.5, -0.5, None]),
    ("aa", [10, 20], [None, None], [None, None]),
    ("aa", [10, 20], [0.5, 0.5], [0.0, -0.5]),
]


@pytest.mark.parametrize(("prompts", "lengths", "correctness", "expected"), GROUPS)
def test_a_length_is_compared_within_the_group_of_its_prompt(
    prompts, lengths, correctness, expected
):
    assert values(offered["group_length"], lengths, correctness, list(prompts)) == expected


def test_the_rewards_work_in_a_stage_beside_the_one_that_says_what_is_correct():
    rewards = {
        "group_length": {},
        "cosine_length": {"max_tokens": 4},
        "soft_overlong": {"max_tokens": 4, "cache": 2},
        "accuracy": {},
    }
    scorer = make_scorer(rewards, SCORING, load())
    columns = {
        "prompt": ["p"] * 3,
        "completion": ["\\boxed{4}", "\\boxed{5}", "\\boxed{4}"],
        "completion_ids": tokens(2, 3, 4),
        "solution": ["4", "4", "4"],
    }
    found = scorer.score(columns).values
    scorer.close()
    assert found["accuracy"] == [1.0, 0.0, 1.0]
    assert found["group_length"] == [0.5, 0.0, -0.5]
    assert found["soft_overlong"] == [0.0, -0.5, -1.0]
    assert found["cosine_length"] == pytest.approx([0.75, -0.75 + 0.25 * math.sqrt(0.5), 0.5])
