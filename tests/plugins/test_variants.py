"""Variants change how a question is asked, the same way for the same seed, and no more."""

import random
from dataclasses import replace
from typing import Any

import pytest

from r1trl.config.kinds import load_plugins
from r1trl.errors import StageError
from r1trl.variants import PromptSettings, Variation

PLAIN = PromptSettings()
ENGLISH = {"prompt": "What is seven plus five?", "solution": "12", "language": "en"}
CHINESE = {"prompt": "七加五等于多少？", "solution": "12", "language": "zh"}
CHOICE = {"prompt": "Which is largest?\n\nA) one\nB) two\nC) three\nD) four", "solution": "D"}
VARIANTS = load_plugins().offers["variant"]


def varied(name: str, row: Any, settings: PromptSettings = PLAIN, seed: int = 1, **options: Any):
    """Return a row and its settings in another form."""
    return Variation(VARIANTS[name].bind(options), seed, name).of(row, settings)


def asked(name: str, row: Any = ENGLISH, **options: Any) -> str:
    """Return the question in another form."""
    return varied(name, row, **options)[0]["prompt"]


def test_identity_changes_nothing() -> None:
    assert varied("identity", ENGLISH) == (ENGLISH, PLAIN)


@pytest.mark.parametrize("row", [ENGLISH, CHINESE], ids=["en", "zh"])
def test_there_are_twelve_paraphrases_and_each_row_draws_one_by_its_seed(row: Any) -> None:
    fixed = {asked("paraphrase", row, number=number) for number in range(1, 13)}
    assert len(fixed) == 12 and all(text.endswith("\n" + row["prompt"]) for text in fixed)
    drawn = {asked("paraphrase", row, seed=seed) for seed in range(40)}
    assert len(drawn) > 6 and drawn <= fixed
    assert asked("paraphrase", row, seed=3) == asked("paraphrase", row, seed=3)


def test_rows_with_other_questions_draw_for_themselves() -> None:
    rows = [{**ENGLISH, "prompt": f"What is {i}?"} for i in range(20)]
    assert len({asked("paraphrase", row).partition("\n")[0] for row in rows}) > 4


def test_an_instruction_stands_before_or_after() -> None:
    before, after = (asked("instruction", place=place) for place in ("before", "after"))
    assert before.splitlines() == after.splitlines()[::-1]
    assert before == asked("paraphrase", number=1)


def test_a_directive_to_box_the_answer_is_added_once_or_taken_out_of_everything() -> None:
    boxed = asked("boxed")
    assert boxed.count("\\boxed{}") == 1 and boxed.startswith(ENGLISH["prompt"])
    assert asked("boxed", {**ENGLISH, "prompt": boxed}) == boxed
    assert asked("boxed", {**ENGLISH, "prompt": boxed}, on=False) == ENGLISH["prompt"]
    assert (
        asked("boxed", {**CHINESE, "prompt": asked("boxed", CHINESE)}, on=False)
        == (CHINESE["prompt"])
    )
    template = "Be brief. Put the answer in \\boxed{}. User: {{ prompt }} Assistant:"
    own = varied("boxed", ENGLISH, PromptSettings(template), on=False)[1]
    assert own.template == "Be brief. User: {{ prompt }} Assistant:"
    settings = PromptSettings(system="Think. Answer in \\boxed{}.")
    assert varied("boxed", ENGLISH, settings, on=False)[1].system == "Think."


@pytest.mark.parametrize("count", [0, 1, 3])
@pytest.mark.parametrize("reasoned", [False, True])
def test_examples_come_before_the_question(count: int, reasoned: bool) -> None:
    text = asked("examples", count=count, reasoned=reasoned, answer="tag")
    assert text.count("<answer>") == count and text.count("<think>") == count * reasoned
    assert text.endswith(ENGLISH["prompt"])
    assert "三加四" in asked("examples", CHINESE)


def test_examples_of_ones_own_are_shown_and_too_few_are_refused() -> None:
    worked = [{"question": "Q1", "reasoning": "R1", "answer": "A1"}]
    assert asked("examples", worked=worked, answer="boxed").startswith(
        "Question: Q1\nAnswer: \\boxed{A1}\n"
    )
    with pytest.raises(StageError, match=r"examples: .*ValueError: count: 2 examples of 1"):
        asked("examples", worked=worked, count=2)
    with pytest.raises(StageError, match="an example has no 'reasoning'"):
        asked("examples", worked=[{"question": "Q", "answer": "A"}])


def test_the_other_language_is_asked_for_in_that_of_the_question() -> None:
    assert asked("language") == f"Answer in Chinese.\n{ENGLISH['prompt']}"
    assert asked("language", CHINESE) == f"请用英文回答。\n{CHINESE['prompt']}"
    assert asked("language", {"prompt": CHINESE["prompt"]}, answer="zh").startswith("请用中文回答")


def test_spelling_leaves_formulas_commands_and_tags_alone() -> None:
    fixed = r"$\frac{x}{2}  + y$ \boxed{ab} <answer> https://a.example/b"
    row = {"prompt": f"Please find the value of {fixed} now, quickly."}
    for name, options in (
        ("case", {"style": "upper"}),
        ("spacing", {"style": "double"}),
        ("spacing", {"style": "random"}),
        ("typos", {"rate": 1.0}),
    ):
        text = asked(name, row, **options)
        assert text != row["prompt"]
        assert all(part in text for part in fixed.split(" ", 4)[:1]), (name, text)
        for part in (r"$\frac{x}{2}  + y$", r"\boxed{ab}", "<answer>", "https://a.example/b"):
            assert part in text, (name, text)


def test_case_changes_words_and_no_single_letters() -> None:
    row = {"prompt": "Find x, if x plus a is 3."}
    assert asked("case", row) == "FIND x, IF x PLUS a IS 3."


@pytest.mark.parametrize(
    ("style", "end"), [("none", "five"), ("repeated", "five???"), ("other", "five.")]
)
def test_the_last_mark_changes(style: str, end: str) -> None:
    assert asked("punctuation", style=style).endswith(end)


def test_typing_errors_are_few_seeded_and_in_no_number() -> None:
    row = {"prompt": "Please calculate seventeen hundred plus forty, then report."}
    texts = {asked("typos", row, seed=seed) for seed in range(30)}
    assert len(texts) > 15 and row["prompt"] not in texts
    assert all("seventeen hundred plus forty" in text for text in texts)
    chinese = asked("typos", {"prompt": "请问七加五等于多少？"}, rate=1.0)
    assert chinese == "请请问问七加五等等于于多多少少？"
    with pytest.raises(StageError, match="rate: 2 is no share"):
        asked("typos", rate=2)


@pytest.mark.parametrize("seed", range(6))
def test_options_change_places_and_the_solution_follows(seed: int) -> None:
    row, _ = varied("option_order", CHOICE, seed=seed)
    assert row["prompt"] != CHOICE["prompt"]
    assert f"\n{row['solution']}) four" in row["prompt"]
    lines = row["prompt"].splitlines()[2:]
    assert [line[0] for line in lines] == list("ABCD")
    assert {line[3:] for line in lines} == {"one", "two", "three", "four"}


def test_a_question_without_options_and_a_solution_that_is_no_letter_stay() -> None:
    assert varied("option_order", ENGLISH) == (ENGLISH, PLAIN)
    assert varied("option_order", {**CHOICE, "solution": "four"})[0]["solution"] == "four"


def test_a_system_prompt_is_set_replaced_and_taken_away() -> None:
    talk = [{"role": "system", "content": "Own."}, {"role": "user", "content": "Hi?"}]
    row, settings = varied("system", {"prompt": talk, "system": "Row's."}, text="New.")
    assert row == {"prompt": talk[1:], "system": None} and settings.system == "New."
    assert varied("system", ENGLISH, PromptSettings(system="Old."), text=None)[1] == PLAIN
    raw = PromptSettings("User: {{ prompt }}")
    assert varied("system", ENGLISH, raw, text="A {{ b }}.")[1].template == (
        "{% raw %}A {{ b }}.{% endraw %}\nUser: {{ prompt }}"
    )
    assert varied("system", ENGLISH, raw, text=None)[1] == raw


def test_thinking_is_begun_or_not() -> None:
    begun = PromptSettings(prefill="<think>\n")
    assert varied("prefill", ENGLISH)[1] == begun
    assert varied("prefill", ENGLISH, begun, text="")[1] == PLAIN


@pytest.mark.parametrize("name", sorted(VARIANTS))
def test_only_the_last_question_of_a_conversation_changes(name: str) -> None:
    talk = [
        {"role": "user", "content": "First?"},
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": CHOICE["prompt"]},
    ]
    row, _ = varied(name, {"prompt": talk, "solution": "D"})
    assert row["prompt"][:2] == talk[:2] and len(row["prompt"]) == 3
    assert row["prompt"][2]["role"] == "user"


def test_a_variant_that_returns_something_else_is_refused_with_its_key() -> None:
    def given(returned: Any) -> None:
        Variation(lambda row, settings, rng: returned, 1, "stages.x.variants.mine").of(
            ENGLISH, PLAIN
        )

    row = f'of the row with the prompt "{ENGLISH["prompt"][:-1]}."'
    key = f"^stages.x.variants.mine: {row}: a variant "
    with pytest.raises(StageError, match=f"{key}returns a row and its PromptSettings"):
        given(ENGLISH)
    with pytest.raises(StageError, match=f"{key}returns PromptSettings beside the row"):
        given((ENGLISH, {}))
    with pytest.raises(StageError, match=f"{key}keeps the row's columns"):
        given(({"prompt": "x"}, PLAIN))
    with pytest.raises(StageError, match=f"{key}makes of a prompt that is a str another one"):
        given(({**ENGLISH, "prompt": []}, PLAIN))
    with pytest.raises(StageError, match="a raw template shows no system prompt"):
        given((ENGLISH, PromptSettings(template="{{ prompt }}", system="Be kind.")))


def test_a_variant_that_draws_from_elsewhere_or_changes_the_answer_is_found(
    plugin_file: Any,
) -> None:
    from r1trl.trust.check import check

    source = """
        import random
        import r1trl

        @r1trl.describe(keeps_answer=True)
        def unseeded(row, settings, rng):
            '''Ask in a random way.'''
            return {**row, "prompt": [random.random()]}, settings

        @r1trl.describe(keeps_answer=True)
        def lies(row, settings, rng):
            '''Ask for one more.'''
            return {**row, "solution": row["solution"] + "0"}, settings

        def silent(row, settings, rng):
            '''Ask in the same way.'''
            return row, settings

        @r1trl.describe(keeps_answer=True)
        def spoils(row, settings, rng):
            '''Change what it gets.'''
            if isinstance(row["prompt"], list):
                row["prompt"][0]["content"] = "Hi?"
            return row, settings

        @r1trl.hookimpl
        def r1trl_variants():
            return {"unseeded": unseeded, "lies": lies, "silent": silent, "spoils": spoils}
    """
    results = check(plugin_file(source), [], None)
    failed = {r.offer: r.detail for r in results if not r.passed}
    assert set(failed) == {f"variant {n}" for n in ("unseeded", "lies", "silent", "spoils")}
    assert "another one, not a list" in failed["variant unseeded"]
    assert "says that it keeps the answer, and makes" in failed["variant lies"]
    assert "does not say whether the answer stays the same" in failed["variant silent"]
    assert "changes the row that it gets" in failed["variant spoils"]


def test_variants_use_no_randomness_but_their_own() -> None:
    state = random.getstate()
    for name in VARIANTS:
        varied(name, CHOICE, replace(PLAIN, system="s"))
    assert random.getstate() == state
