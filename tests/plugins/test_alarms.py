"""Alarms: metrics that trigger them, metrics that do not, and a run that triggers each of them."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import r1trl_alarms
from stage_runs import Run

from r1trl import Progress, StageError, StageResult

ALARMS = r1trl_alarms.r1trl_transitions()
ACCURACY, FORMAT = "rewards/accuracy/mean", "rewards/think_format/mean"
LENGTH, EQUAL = "completions/mean_length", "frac_reward_zero_std"


def history(**metrics: Sequence[float | None]) -> list[dict]:
    """Return rows with one value of each metric; `reward_` stands for reward/ and so on."""
    names = {"accuracy": ACCURACY, "format": FORMAT, "length": LENGTH, "equal": EQUAL}
    columns = {names.get(name, name): values for name, values in metrics.items()}
    count = len(next(iter(columns.values())))
    return [
        {"step": i + 1, **{name: values[i] for name, values in columns.items()}}
        for i in range(count)
    ]


def first_reason(name: str, rows: list[dict], **options: object) -> str | None:
    """Return the first reason of an alarm that is called after every row, or None."""
    alarm = ALARMS[name](**options)
    for i in range(len(rows)):
        reason = alarm.should_stop(Progress(i + 1, 100, 1.0, rows[: i + 1]))
        if reason:
            return reason
    return None


def ramp(first: float, last: float, count: int = 20) -> list[float]:
    return [first + (last - first) * i / (count - 1) for i in range(count)]


@pytest.mark.parametrize("metric", ["loss", "reward", "kl"])
def test_divergence_finds_a_value_that_is_not_a_number(metric: str):
    rows = history(**{metric: [1.0, None]})
    assert first_reason("divergence", rows) == f"{metric} is not a number at step 2"


def test_a_step_that_loss_scaling_skips_is_no_divergence():
    assert first_reason("divergence", history(grad_norm=[None, 1.0], loss=[2.0, 2.0])) is None


def test_divergence_finds_gradients_that_stay_large():
    calm = [0.3] * 10
    spike = history(grad_norm=[*calm, 50.0, *calm])
    assert first_reason("divergence", spike) is None
    large = first_reason("divergence", history(grad_norm=[*calm, 50.0, 60.0, 70.0]))
    assert large == (
        "the norm of the gradient is 50, 60, 70 up to step 13; its median before was 0.3"
    )
    assert (
        first_reason("divergence", history(grad_norm=[0.001] * 10 + [0.9] * 5)) is None
    )  # small at all
    assert first_reason("divergence", history(kl=[0.1, 11.0])) == "kl is 11 at step 2, more than 10"


def test_equal_rewards_are_found_and_solved_problems_hand_the_model_over(tmp_path: Path):
    constant = history(equal=[1.0] * 10, reward=[0.5] * 10)
    assert first_reason("equal_rewards", constant).startswith(
        "in the last 10 rollouts, up to step 10, every prompt's completions had equal rewards"
    )
    nearly = history(equal=[1.0] * 9 + [0.99] + [1.0] * 9, reward=[0.5] * 19)
    assert first_reason("equal_rewards", nearly) is None
    result = StageResult("zero", "grpo", tmp_path)
    rows = history(equal=[0.5] * 10 + [1.0] * 10, reward=ramp(0, 1, 10) + [1.0] * 10)
    alarm = ALARMS["equal_rewards"]()
    assert alarm.should_stop(Progress(20, 20, 1.0, rows)).endswith("everything is solved")
    assert alarm(result) is result


def test_entropy_may_fall_if_the_reward_rises():
    entropy = ramp(0.8, 0.01, 15) + [0.01] * 5
    assert first_reason("entropy_collapse", history(entropy=entropy, reward=ramp(0.1, 0.9))) is None
    reason = first_reason("entropy_collapse", history(entropy=entropy, reward=[0.1] * 20))
    assert reason.startswith("the policy has collapsed by step ")
    low = history(entropy=[0.01] * 20, reward=[0.1] * 20)  # it was never higher
    assert first_reason("entropy_collapse", low) is None


def test_length_may_grow_if_the_reward_does_not_fall():
    grows = ramp(20, 100, 40)
    assert first_reason("length_runaway", history(length=grows, reward=ramp(0.2, 0.9, 40))) is None
    rises_and_falls = ramp(0.2, 0.9) + ramp(0.9, 0.3)
    reason = first_reason("length_runaway", history(length=grows, reward=rises_and_falls))
    assert reason.startswith("completions have grown from ")
    assert (
        first_reason("length_runaway", history(length=[20.0] * 40, reward=rises_and_falls)) is None
    )


def test_a_reward_that_rises_while_the_canary_falls_is_found():
    rows = history(reward=ramp(0.2, 0.9, 40), accuracy=ramp(0.1, 0.5) + ramp(0.5, 0.1))
    reason = first_reason("reward_hacking", rows, canary=ACCURACY)
    assert reason.startswith(f"{ACCURACY} has fallen from 0.4")
    assert "while reward rose from" in reason
    both_fall = history(reward=ramp(0.9, 0.2, 40), accuracy=ramp(0.9, 0.2, 40))
    assert first_reason("reward_hacking", both_fall, canary=ACCURACY) is None
    both_rise = history(reward=ramp(0.2, 0.9, 40), accuracy=ramp(0.2, 0.9, 40))
    assert first_reason("reward_hacking", both_rise, canary=ACCURACY) is None


def test_format_kept_while_accuracy_falls_is_found():
    rows = history(format=[1.0] * 40, accuracy=ramp(0.6, 0.2, 40))
    assert first_reason("format_over_accuracy", rows).startswith(f"{ACCURACY} has fallen from 0.55")
    both = history(format=ramp(1.0, 0.2, 40), accuracy=ramp(0.6, 0.2, 40))
    assert first_reason("format_over_accuracy", both) is None


def test_a_canary_that_is_never_logged_is_an_error_with_a_suggestion():
    rows = history(reward=[0.0] * 8, accuracy=[0.0] * 8)
    with pytest.raises(ValueError, match="did you mean 'rewards/accuracy/mean'"):
        first_reason("reward_hacking", rows, canary="rewards/acuracy/mean", window=2)


def test_an_alarm_fails_its_stage_with_its_reason(tmp_path: Path):
    alarm, result = ALARMS["divergence"](), StageResult("zero", "grpo", tmp_path)
    assert alarm(result) is result
    alarm.should_stop(Progress(2, 9, 1.0, history(loss=[1.0, None])))
    with pytest.raises(StageError, match=r"loss is not a number at step 2; the checkpoints are th"):
        alarm(result)


REWARDS = '''
import r1trl

def constant(prompts, completions, completion_ids, **columns):
    return [0.5 for _ in completions]

def brief(prompts, completions, completion_ids, **columns):
    return [-0.001 * len(ids) for ids in completion_ids]

def digits(prompts, completions, completion_ids, **columns):
    return [min(1.0, sum(map(str.isdigit, text)) / 50) for text in completions]

@r1trl.describe(needs_groups=True)
def longer_than_others(prompts, completions, completion_ids, **columns):
    """Prefer the longer of a prompt's completions, and long ones less than short ones."""
    lengths = {}
    for prompt, ids in zip(prompts, completion_ids):
        lengths.setdefault(prompt, []).append(len(ids) / 64)
    means = {prompt: sum(values) / len(values) for prompt, values in lengths.items()}
    pairs = zip(prompts, completion_ids)
    return [len(ids) / 64 - 2 * means[prompt] for prompt, ids in pairs]

@r1trl.hookimpl
def r1trl_rewards():
    return {f.__name__: f for f in (constant, brief, digits, longer_than_others)}
'''
HELD_OUT = "eval/held_out/pass@1"


def test_reward_hacking_hears_held_out_rows_that_are_answered_now_and_then():
    """The reward rises, and only the rows that are not trained on show that nothing is learned."""

    def rows(accuracy: Sequence[float]) -> list[dict]:
        found: list[dict] = []
        for step in range(len(accuracy) * 10):
            if step % 10 == 0:  # before the step's own row, and at step 0 before any
                found.append({"step": step, HELD_OUT: accuracy[step // 10]})
            found += [{"step": step, "reward": step / 100 + 0.2 * (step % 2)}] if step else []
        return found

    options = {"canary": HELD_OUT, "window": 1}
    fallen = rows([0.5, 0.6, 0.45])
    assert first_reason("reward_hacking", fallen, **options) == (
        "eval/held_out/pass@1 has fallen from 0.6 to 0.45 while reward rose from 0.161 to 0.245 "
        "(means of 1 loggings, the first around step 10)"
    )
    assert first_reason("reward_hacking", rows([0.5, 0.6, 0.55]), **options) is None
    without = [row for row in fallen if "reward" in row]
    assert first_reason("format_over_accuracy", without[:3]) is None
    with pytest.raises(ValueError, match="eval/held_out/pass@1"):
        first_reason("reward_hacking", without, **options)


UNWEIGHTED = "{weight: 0.0, answer: answer_tag}"
RUNS = {
    "equal_rewards": ["rewards={constant: {}}"],
    "entropy_collapse": ["rewards={brief: {}}"],
    "reward_hacking": [
        f"rewards={{accuracy: {UNWEIGHTED}, digits: {{}}}}",
        f"transitions.reward_hacking={{canary: {ACCURACY}, window: 5}}",
    ],
    "format_over_accuracy": [
        *(f"rewards.accuracy={UNWEIGHTED}", "rewards.brief={weight: 5.0}"),
        "transitions.format_over_accuracy={window: 5}",
    ],
    "length_runaway": [
        "rewards={longer_than_others: {}}",
        "transitions.length_runaway={window: 5}",
    ],
    "divergence": ["args.learning_rate=3"],
    "no_verdict": [
        "data.problems.columns={prompt: prompt, solution: '{{ prompt }} #### {{ solution }}'}"
    ],
}


SHORT = ("divergence", "equal_rewards", "no_verdict")  # the others train for many steps before
SHIPPED = ("divergence", "equal_rewards", "entropy_collapse", "length_runaway", "no_verdict")


def test_a_reward_without_any_verdict_is_found_and_one_with_a_late_verdict_is_not():
    abstain = "outcome/accuracy/abstain"
    rows = [{"step": i, abstain: 1.0, ACCURACY: None, FORMAT: 0.5} for i in range(1, 4)]
    reason = first_reason("no_verdict", rows)
    assert reason is not None and "the reward 'accuracy' has had no verdict" in reason
    assert first_reason("no_verdict", rows[:2]) is None
    assert first_reason("no_verdict", [{"step": 0, ACCURACY: 0.0}, *rows]) is None
    some = [{**row, abstain: 0.9, ACCURACY: 0.1} for row in rows]
    assert first_reason("no_verdict", some) is None


@pytest.mark.slow
@pytest.mark.parametrize(
    "alarm",
    [pytest.param(name, marks=[] if name in SHORT else [pytest.mark.long]) for name in RUNS],
)
def test_a_run_triggers_each_alarm(alarm: str, tmp_path: Path, plugin_file):
    run = Run(
        tmp_path,
        "# @package _global_\ndefaults: [zero]\n",
        *("scale.rl.outputs=64", "scale.rl.minibatches=1", "scale.zero.first_steps=60"),
        *("~stages.zero", "~stages.scoreboard", f"plugins.load=[{plugin_file(REWARDS)}]"),
        *("stages.zero_first.args.learning_rate=1e-3", "scale.rl.save_every=5"),
        *(f"stages.zero_first.transitions.{name}=null" for name in SHIPPED if name != alarm),
        *(f"stages.zero_first.{override}" for override in RUNS[alarm]),
    )
    assert run.carry_out() == 1
    log = run.log("zero_first")
    assert f"stages.zero_first.transitions.{alarm}: " in log
    assert "keep=zero_first, the stage goes on from them" in log
