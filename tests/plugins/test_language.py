"""The reward `language_consistency` and the filter `one_language`."""

import itertools
import re
import subprocess
import sys
import time

import pytest
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from r1trl_language.filters import in_language, one_language
from r1trl_language.prose import prose, without_symbols
from r1trl_language.reward import language_consistency
from r1trl_language.words import counts, detect, share, thinking
from tiny_corpus import documents

WITHIN = [
    ("We add seven and five", {"en": 5}),
    ("七加五等于十二", {"zh": 7}),
    ("七加 five", {"en": 1, "zh": 2}),
    ("don't it’s café", {"en": 3}),
    ("设x为5, 则 y = 12.5%", {"zh": 3}),
    ("ひらがな 한국어 русский العربية", {"kana": 1, "hangul": 1, "cyrillic": 1, "arabic": 1}),
    ("日本のことば", {"kana": 1}),
    ("አማርኛ ܣܘܪܝܝܐ", {"other": 2}),
    ("so $x = five$ and \\(six\\) or \\[seven\\] makes \\boxed{eight}", {"en": 4}),
    ("\\boxed{\\frac{seven}{\\sqrt{two}}} yes", {"en": 1}),
    ("use \\alpha then", {"en": 2}),
    ("it costs $5 and then $6 more", {"en": 5}),
    ("run `print(foo)` now\n```python\nimport os\n```\ndone", {"en": 3}),
    ("see the https://example.com/a/page?x=1 here", {"en": 3}),
    ("参见https://example.com/页 了", {"zh": 4}),
    ("<think>one</think><answer>two</answer>", {"en": 2}),
    ("12 + 3.5 = 15.5", {}),
    ("", {}),
    ("\\begin{align*} xx &= one \\end{align*} 所以是一", {"zh": 4}),
    (
        "\\begin{cases} xx \\text{if} y \\\\ z \\end{cases}得\\begin{pmatrix} ab \\end{pmatrix}",
        {"zh": 1},
    ),
    ("\\begin{itemize} \\item the first one \\end{itemize}", {"en": 3}),
    ("\\begin{tabular}{cc} 甲 & 乙", {"zh": 2}),
    ("\\text{答}是\\operatorname{lcm}(4, 6) \\text{ cm}", {"zh": 2}),
    ("[asy] draw(circle); [/asy] 求面积", {"zh": 3}),
    ('<b>答</b>：七 <br/> <p class="big">好</p> <|im_start|> <｜User｜>', {"zh": 3}),
    ("在Rt△ABC中，∠C=90°，AB=5cm，AC=3 cm，面积6cm²，6㎝", {"zh": 4}),
    ("AB∥CD，EF⊥GH，A'B'C'D'是平行四边形", {"zh": 6}),
    ("四边形ABCDEF、ＡＢＣＤ", {"zh": 3}),
    ("设x_1、a_{n+1}、v_max", {"zh": 1}),
    ("xy=6，求ab的值，2ab = xy", {"zh": 3}),
    ("sinα = cos β，log 2，ln 3，lcm(4, 6)，7 mod 2，f'(x)，令πr²", {"zh": 1}),
    ("重5kg，长3 m，速60km/h，时2 min", {"zh": 4}),
    ("由AAS知GCD", {"zh": 2}),
    ("所以 the answer 是七", {"en": 2, "zh": 4}),
    ("THE ANSWER IS SEVEN", {"en": 4}),
    ("In triangle ABC the side AB is 5", {"en": 5}),
]


@pytest.mark.parametrize(("text", "words"), WITHIN)
def test_words_are_counted_by_language_and_all_else_is_no_word(text, words):
    assert counts(text) == words


def test_a_share_is_of_all_words_and_none_without_words():
    assert share(counts("one two 三四"), "en") == share(counts("one two 三四"), "zh") == 0.5
    assert share(counts("one two 三四"), "fr") == 0.0
    assert share(counts("1 + 1"), "en") is share(counts("one"), None) is None


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("What is it?", "en"),
        ("Simplify fraction", "en"),
        ("是多少？", "zh"),
        ("計算 mod 是多少", "zh"),
        ("что это", None),
        ("Quanto vale?", None),
        ("1+1", None),
    ],
)
def test_a_text_is_in_the_language_of_most_of_its_words(text, language):
    assert detect(text) == language


@pytest.mark.parametrize(
    ("prompt", "completion", "thought"),
    [
        ("Q", "<think>a</think>b", "a"),
        ("Q<think>\n", "a</think>b", "a"),
        ("Q", "a</think>b", "a"),
        ("Q", "<think>a", "a"),
        ("Q<think>", "a", "a"),
        ("Q", "a", "a"),
        ("Q", "x<think>a</think>b", "a"),
        ("Q", "<think></think><think>a</think>b", "</think><think>a"),
    ],
)
def test_the_thinking_is_found_whether_or_not_the_prompt_opens_it(prompt, completion, thought):
    assert thinking(prompt, completion).strip() == thought


CASES = [
    ("What is it?", "<think>it is two</think>二", {}, 1.0),
    ("是多少？", "<think>it is two</think>二", {}, 0.0),
    ("是多少？", "<think>二加二 four</think>four", {}, 0.75),
    ("是多少？<think>\n", "二加二 four</think>four", {}, 0.75),
    ("是多少？", "二加二 four", {}, 0.75),
    ("是多少？", "it is two", {"language": ["en"]}, 1.0),
    ("是多少？", "it is two", {"language": [None]}, 0.0),
    ("A long English template asks", "二加二", {"question": ["是多少？"]}, 1.0),
    ("A long English template asks", "二加二", {"question": [None]}, 0.0),
    ("What is it?", "это 二 it is", {}, 0.5),
    ("What is it?", "<think>1 + 1 = 2</think>two", {}, None),
    ("What is it?", "<think></think>two", {}, None),
    ("What is it?", "il y en a deux", {"language": ["fr"]}, None),
    ("1+1", "it is two", {}, None),
    ("三角形の面積はいくつですか", "三角形の面積は十です", {}, None),
    ("求三角形的面积", "在三角形ABC中，AB=5，BC=6，所以面积是15", {}, 1.0),
    ("求值", "\\begin{align*} x &= 1 \\end{align*} 所以是一", {}, 1.0),
    ("What is it?", "Peaches", {}, 1.0),
    ("What is it?", "il y en a deux dans la boîte", {}, 0.0),
    ("What is it?", "il y en a deux dans la boîte", {"language": ["fr"]}, 1.0),
]


@pytest.mark.parametrize(("prompt", "completion", "columns", "expected"), CASES)
def test_the_reward_is_the_share_of_words_in_the_target_language(
    prompt, completion, columns, expected
):
    columns = {**columns, "solution": ["2"]}
    assert language_consistency([prompt], [completion], [[]], **columns) == [expected]


@pytest.mark.parametrize(
    ("language", "meant"),
    [("english", "en"), ("Germn", "de"), ("zh-CN", "zh"), ("EN", "en"), ("xx", None), (3, None)],
)
def test_an_unknown_language_is_an_error_that_names_what_is_possible(language, meant):
    suggestion = f" (did you mean '{meant}'?)" if meant else ""
    expected = f"language: no language '{language}' is known{suggestion}; possible are: ar, bg, bn"
    with pytest.raises(ValueError, match=re.escape(expected)):
        language_consistency(["Q"], ["it is two"], [[]], language=[language])


MARKS = [
    *(
        "`",
        "```",
        "$",
        "$$",
        "\\(",
        "\\[",
        "\\boxed{",
        "\\boxed{{",
        "http://",
        "a'",
        "$x",
        "{",
        "<",
    ),
    *("\\begin{align}", "\\begin{array}{", "\\text{", "\\operatorname{", "[asy]", '<a b="', "<|"),
    *("x_{", "x_", "A'", "A1", "ab ", "1 ", "1 cm", "= ", "ab的", "的ab", "é ", "か漢", "かあ。"),
    *("и да ", "\u200c", "ا\u200c", "\u0301", "ก", "ﷺ", "Oui. ", "oui il va bien. "),
]


@pytest.mark.parametrize("mark", MARKS)
def test_marks_that_never_close_cost_little(mark):
    text = mark * (40_000 // len(mark))
    for measure in (prose, without_symbols, counts):
        start = time.process_time()
        measure(text)
        assert time.process_time() - start < 2.0


CODE = """
import sys
from r1trl_language.words import counts
counts("So 3 plus 4 is 7, and the answer is seven. 所以答案是七。三角形ABC的边AB=5cm。")
print({"torch", "numpy", "py3langid", "datasets"} & set(sys.modules) - set(before))
"""


def test_english_and_chinese_need_no_model():
    code = f"import sys, r1trl\nbefore = list(sys.modules)\n{CODE}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


NAMES = st.sampled_from("Juan Maria Pedro Ana Tom Mia José Li Wei Carlos Natalia Weng Tina".split())
THINGS = st.sampled_from("bananas mangos pizzas tacos pencils eggs tickets dollars kilos".split())
ENGLISH = [
    "So {} plus {} is {}.",
    "{n} buys {} {t}.",
    "Total: {} + {} = {}",
    "Let x be {}. Then {}x = {}.",
    "{n} has {} {t}, {m} has {} {t}.",
    "{n}: {} {t}\n{m}: {} {t}\nSum: {}",
    "Speed = {} km/h, time = {} h, distance = {} km.",
    "Area = {} cm^2, side AB = {} cm.",
    "{} {t} minus {} {t} leaves {}.",
    "Ok so total is {}, remove {}, {} left",
    "The answer is {}.",
    "Hmm. Wait. No. Yes.",
    "Profit: {} - {} = {} dollars per {t}.",
    "{n}, {m} and Rosa share {} {t}.",
    "Discriminant = {}, roots {}, {}.",
]
CHINESE = [
    "所以{}加{}等于{}。",
    "{n}买了{}个苹果。",
    "一共：{} + {} = {}",
    "设x={}，则{}x={}。",
    "在Rt△ABC中，AB={}cm，BC={} cm。",
    "解：由题意得x_1={}，x_2={}",
    "重量是{}kg，速度是{}km/h。",
    "點A、B在圓上，弦AB與CD相交，故PA·PB={}。",
    "這個長方形的面積是{}平方公分。",
    "因为AB∥CD，所以∠A={}°",
    "答案是{}",
]
NUMBER = st.integers(0, 999)


@st.composite
def worked_sums(draw, sentences):
    """Draw a worked sum of one to five sentences."""
    chosen = draw(st.lists(st.sampled_from(sentences), min_size=1, max_size=5))
    values = [draw(NUMBER) for _ in range(3)]
    names = {"n": draw(NAMES), "m": draw(NAMES), "t": draw(THINGS)}
    return " ".join(sentence.format(*values, **names) for sentence in chosen)


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(text=worked_sums(ENGLISH))
def test_a_worked_sum_in_english_is_in_no_third_language(text):
    found = counts(text)
    assert set(found) <= {"en", "latin"}
    assert share(found, "en") in (None, 1.0)


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(text=worked_sums(CHINESE))
def test_a_worked_sum_in_chinese_is_in_no_third_language(text):
    found = counts(text)
    assert set(found) <= {"zh", "en", "latin"} and detect(text) == "zh"
    assert found["en"] + found["latin"] <= text.count("买了")  # names alone


def test_thinking_of_the_tiny_world_is_counted_by_script():
    for document in itertools.islice(documents(1), 1000):
        thought = thinking("", document.reply).replace("\\boxed", "")
        latin, han = len(re.findall("[a-zA-Z]{2,}", thought)), len(re.findall("[一-鿿]", thought))
        for language, words in (("en", latin), ("zh", han)):
            measured = share(counts(thought), language)
            assert measured == (words / (latin + han) if latin + han else None)


ROWS = {
    "completion": [
        "<think>it is two</think>二",
        "<think>it is 二</think>two",
        "<think>二加二</think>two",
        "<think>$2+2$</think>two",
    ],
    "question": ["What is it?", "What is it?", "What is it?", "What is it?"],
}


def kept(rows: dict[str, list[str]], **options: object) -> list[int]:
    """Return the row numbers that `one_language` keeps."""
    verdicts = one_language(Dataset.from_dict(rows), **options)
    return [i for i, reason in enumerate(verdicts) if reason is None]


def test_the_filter_keeps_thinking_in_the_language_of_the_question():
    assert kept(ROWS) == [0, 3]


def test_the_filter_prefers_the_option_then_the_column_then_the_question():
    rows = {**ROWS, "language": ["zh", "zh", "zh", None]}
    assert kept(rows) == [2, 3]
    assert kept(rows, language="en") == [0, 3]


def test_the_filter_without_a_known_language_keeps_what_is_not_mixed():
    rows = {"text": ROWS["completion"]}
    assert len(kept(rows, column="text")) == 3
    assert len(kept(rows, column="text", min_consistency=0.5)) == 4


def test_texts_in_a_wanted_language_stay():
    rows = Dataset.from_dict(
        {"prompt": ["two and two", "二加二", "два и два", "x + 2", "so 二加二等"]}
    )
    english, chinese = "not in en", "not in zh"
    assert in_language(rows, languages=["en"]) == [None, english, english, None, english]
    assert in_language(rows, languages=["zh"]) == [chinese, None, chinese, None, None]
    assert in_language(rows, languages=["en", "zh"])[2] == "not in en or zh"
    assert in_language(rows, languages=["ru"]) == [
        "not in ru",
        "not in ru",
        None,
        None,
        "not in ru",
    ]
    french = Dataset.from_dict(
        {"prompt": ["On additionne les deux nombres.", "We add two numbers."]}
    )
    assert in_language(french, languages=["fr"]) == [None, "not in fr"]
    with pytest.raises(ValueError, match=r"no language 'german' .*'de'\?\); possible are: ar, bg"):
        in_language(rows, languages=["en", "german"])
    with pytest.raises(ValueError, match="languages: none; possible are: ar, bg"):
        in_language(rows, languages=[])


def test_thinking_in_a_third_language_is_kept_unmixed():
    french = "On additionne les deux nombres. Donc la réponse est sept."
    rows = {"completion": [french, f"{french} We add the two numbers.", "We add the numbers."]}
    assert kept(rows) == [0, 2]
    assert kept({**rows, "language": ["fr", "fr", "fr"]}) == [0]
    with pytest.raises(ValueError, match=r"language: no language 'french' .*'fr'"):
        kept(rows, language="french")
    with pytest.raises(ValueError, match=r"language: no language 'french' .*'fr'"):
        kept({**rows, "language": ["french", "fr", "fr"]})
