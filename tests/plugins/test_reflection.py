"""The reward `reflection_words`."""

import re

import pytest
from r1trl_language.reflection import CHINESE, ENGLISH, SHORT, reflection_words

from r1trl.config.compose import compose
from r1trl.errors import ConfigError
from r1trl.plan.plan import make_plan

TABLE = [
    ("", 0),
    ("So the answer is seven.", 0),
    ("Wait, wait. WAIT! That's an aha moment.", 3),
    ("Let me check: 3 + 4 is 7. However, I made a mistake, but verify it.", 5),
    ("<think>retry</think><answer>wrong</answer>", 2),
    ("waiting checked errors butter rewrite evaluated", 0),
    ("check_1 error404 éwait wait's", 1),
    ("\\text{wrong} **wait** (check)", 3),
    ("所以wait，再check一下", 2),
    ("等等，我算错了。让我重新检查，但是", 5),
    ("这个图形不对称，所以答案是七", 0),
    ("錯誤 です。もう一度checkする", 1),
]


@pytest.mark.parametrize(("text", "count"), TABLE)
def test_whole_words_count_in_any_case_and_chinese_ones_anywhere(text: str, count: int) -> None:
    assert reflection_words.function(text) == count


def test_long_texts_are_counted_as_short_ones_are() -> None:
    texts = ["Wait. So it is. 等等 " * count for count in (1, 10, 2000)]
    values = reflection_words([""] * 3, texts, [[]] * 3)
    assert values == [2.0, 20.0, 4000.0] and len(texts[-1]) > SHORT


def test_the_words_are_the_papers_ten_and_chinese_ones() -> None:
    assert len(ENGLISH) == len(set(ENGLISH)) == 10
    assert reflection_words.function(" ".join(ENGLISH)) == 10
    assert reflection_words.function("、".join(CHINESE)) == len(set(CHINESE)) == 16


def test_own_words_count_in_place_of_the_usual_ones() -> None:
    words = ["hmm", "let me", "a+b", "let me see", "嗯"]
    text = "Hmm, let me see. Wait: let me add a+b, 嗯嗯 hmmm."
    assert reflection_words.function(text, words=words) == 6
    assert reflection_words.function("the+a+b a+b", words=["a+b"]) == 1 + 1


@pytest.mark.parametrize("words", [[], ["wait", " "]])
def test_no_words_are_refused(words: list[str]) -> None:
    with pytest.raises(ValueError, match="words: must name at least one word, and no empty one"):
        reflection_words.function("wait", words=words)


def test_the_plan_refuses_no_words() -> None:
    given = "stages.zero.rewards.reflection_words.words=[]"
    problem = "stages.zero.rewards.reflection_words: words: must name at least one word"
    with pytest.raises(ConfigError, match=re.escape(problem)):
        make_plan(compose(["recipe=zero", "scale=tiny", given], None))
