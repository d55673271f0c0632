"""`r1trl plan -v`: what stands in each stage, an entry per line, as overrides name it."""

from r1trl.config.compose import compose
from r1trl.plan.details import details, shown
from r1trl.plan.plan import make_plan

OVERRIDES = (
    "stages.zero.rewards.brief={reward: cosine_length, max_tokens: 9}",
    "~stages.zero.rewards.think_format",
    "stages.zero.transitions={plateau: {window: 7}}",
    "stages.zero.samplers.dynamic={}",
    "stages.zero.filters.head.count=5",
    "stages.zero.args.learning_rate=1e-6",
    "stages.scoreboard.models.zero.samplers.best_of_n={reward: accuracy}",
    "stages.scoreboard.sampling.n=3",
)


def test_every_stage_is_shown_with_the_options_of_what_it_picks_and_with_its_arguments() -> None:
    plan = make_plan(compose(["recipe=zero", "scale=tiny", *OVERRIDES], None))
    stages = dict(part.split("\n", 1) for part in details(plan).split("\n\n"))
    assert list(stages) == ["stages.zero_first:", "stages.zero:", "stages.scoreboard:"]
    found = {
        stage: {line.split()[0]: " ".join(line.split()[1:]) for line in text.splitlines()}
        for stage, text in stages.items()
    }
    zero, board = found["stages.zero:"], found["stages.scoreboard:"]
    args = {key: value for key, value in zero.items() if key.startswith("args.")}
    assert {key: value for key, value in zero.items() if key not in args} == {
        "rewards.accuracy": "weight=1.0 answer=answer_tag",
        "rewards.brief": "reward=cosine_length max_tokens=9 (weight=1.0 min_wrong=-1.0 "
        "max_wrong=-0.5 min_correct=0.5 max_correct=1.0 correct=accuracy)",
        "rewards.language_consistency": "weight=0.0",
        "rewards.reflection_words": "weight=0.0 (words=null)",
        "data.problems.filters.decontaminate": "(benchmarks=null ngram_size=10)",
        "filters.head": "count=5",
        "samplers.dynamic": "(rounds=3 tolerance=1e-06)",
        "transitions.plateau": "window=7 (metric=reward min_delta=0.01)",
    }
    given = plan.stages[1].config.args
    assert list(args) == [f"args.{name}" for name in given]
    assert args["args.learning_rate"] == "1e-06" and args["args.use_vllm"] == "false"
    assert board["models.zero.samplers.best_of_n"] == "reward=accuracy (n=8)"
    assert (board["sampling.n"], board["sampling.min_p"]) == ("3", "null")
    assert not any(key.startswith("args.") for key in board)


def test_a_value_is_shown_in_one_line_as_an_override_has_it() -> None:
    assert shown({"a": [1, None, True], "b": "x\ny"}) == "{a: [1, null, true], b: x y}"
    assert shown("") == "''" and shown("x" * 99) == "x" * 60 + "…"
