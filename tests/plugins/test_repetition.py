"""The reward `repetition`: the share of n-grams that have occurred before."""

import sys
import time

import pytest
import r1trl_length
from r1trl_length import repetition as module

Repetition = r1trl_length.r1trl_rewards()["repetition"]


def of_tokens(ids, **options):
    return Repetition(**options)([""], [""], [list(ids)], solution=["4"])[0]


def of_text(text, **options):
    return Repetition(**options)([""], [text], [[]])[0]


TOKENS = [
    ([], 1, 0.0),
    ([1, 2], 3, 0.0),
    ([1, 1], 3, 0.0),
    ([1, 2, 3], 3, 0.0),
    ([1, 2, 3, 4, 5], 3, 0.0),
    ([1, 1, 1, 1], 3, -0.5),
    ([1, 1, 1, 1, 1], 2, -0.75),
    ([1, 2, 1, 2, 1], 2, -0.5),
    ([1, 2, 3, 1, 2, 3], 3, -0.25),
    ([1, 2, 2, 1], 1, -0.5),
    ([7] * 1001, 1, -1000 / 1001),
]


@pytest.mark.parametrize(("ids", "n", "expected"), TOKENS)
def test_repeated_n_grams_of_tokens_are_punished_by_their_share(ids, n, expected):
    assert of_tokens(ids, n=n) == pytest.approx(expected)


def test_the_penalty_is_the_share_times_the_greatest():
    assert of_tokens([1, 1, 1, 1], max_penalty=-0.05) == pytest.approx(-0.025)
    assert of_tokens([1, 1, 1, 1], max_penalty=0.0) == 0.0


WORDS = [
    ("", 1, 0.0),
    (" \n", 1, 0.0),
    ("Wait wait", 1, -0.5),
    ("a b c a b c", 3, -0.25),
    ("A\tb\n\nC a  b c", 3, -0.25),
    ("a, a", 1, 0.0),
]


@pytest.mark.parametrize(("text", "n", "expected"), WORDS)
def test_words_are_split_at_white_space_and_compared_in_lower_case(text, n, expected):
    assert of_text(text, n=n, units="words") == pytest.approx(expected)


CHINESE = [
    ("", 1, 0.0),
    ("我们检查答案", 1, 0.0),
    ("答案答案", 1, -0.5),
    ("答案 答案\n答案", 1, -2 / 3),
    ("我们检查答案 我们检查答案", 3, -0.25),
    ("Wait, wait", 1, -1 / 3),
]


@pytest.mark.parametrize(("text", "n", "expected"), CHINESE)
def test_chinese_words_are_told_apart_by_jieba(text, n, expected):
    assert of_text(text, n=n, units="chinese_words") == pytest.approx(expected)


def test_jieba_prints_nothing(capfd):
    module.chinese_words.cache_clear()
    sys.modules.pop("jieba", None)
    of_text("我们检查答案", units="chinese_words")
    assert capfd.readouterr() == ("", "")


def test_a_missing_jieba_is_told_with_the_command_that_installs_it(monkeypatch):
    missing = Repetition.__r1trl__.missing_requirements
    assert missing(units="chinese_words", n=2) is None
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    assert "pip install 'r1trl[chinese]'" in missing(units="chinese_words", n=2)
    assert missing(units="words") is None and missing() is None


def test_a_reward_asked_without_jieba_says_the_same(monkeypatch):
    module.chinese_words.cache_clear()
    monkeypatch.setitem(sys.modules, "jieba", None)
    with pytest.raises(ImportError, match=r"pip install 'r1trl\[chinese\]'"):
        of_text("答案", units="chinese_words")


@pytest.mark.parametrize(
    ("options", "message"),
    [({"n": 0}, "n=0 must be at least 1"), ({"max_penalty": 0.1}, "must not be positive")],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Repetition(**options)


@pytest.mark.parametrize("units", ["words", "chinese_words"])
def test_a_long_loop_is_scored_fast(units):
    text = "wait 我们再检查一遍 " * 5_000
    of_text("预热", units=units)
    start = time.process_time()
    assert of_text(text, units=units) < -0.99
    assert time.process_time() - start < 3.0


@pytest.mark.slow
def test_tokens_and_words_have_the_values_of_trl():
    from trl.rewards import get_repetition_penalty_reward

    texts = ["", "a b", "a b c a b c a b c", "one two one two three", "Wait wait WAIT wait so"]
    ids = [[hash(word) for word in text.lower().split()] for text in texts]
    for n in (1, 2, 3):
        theirs = get_repetition_penalty_reward(n, -0.5)(ids)
        options = {"n": n, "max_penalty": -0.5}
        assert Repetition(**options)(texts, [""] * 5, ids) == pytest.approx(theirs)
        assert Repetition(**options, units="words")(texts, texts, [[]] * 5) == pytest.approx(theirs)
