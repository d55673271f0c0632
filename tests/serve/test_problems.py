"""What is wrong with the servers of a stage is found by the plan, with its key."""

import sys
from collections.abc import Callable

import pytest

from r1trl.config.checked import Composed
from r1trl.errors import ConfigError
from r1trl.estimate.judge import verdict
from r1trl.plan.plan import make_plan

SERVED = ("recipe=r1", "scale=tiny")
POLICY = "stages.zero_samples.serve.policy"
PROGRAM = f"{POLICY}.command=[{sys.executable}]"
JUDGED = "{reward: llm_judge, model: judge, url: 'serve:judge'}"
JUDGE = f"{{model: ., command: [{sys.executable}]}}"
REFUSED = {
    f"{POLICY}.command=[]": f"{POLICY}.command: is empty; it starts the server",
    f"{PROGRAM} {POLICY}.nodes=1": f"{POLICY}.nodes: how=local has this machine alone",
    f"{PROGRAM} {POLICY}.gpus=1": "stages.zero_samples.serve.policy.gpus: 1, but this node has no",
    f"{PROGRAM} {POLICY}.gpus=1 {POLICY}.tensor_parallel=2": f"{POLICY}.gpus: 1 are too few for",
    f"{PROGRAM} {POLICY}.model=.": f"{POLICY}.model: it is the stage's own; leave it out",
    f"{PROGRAM} {POLICY}.args={{port: 1}}": f"{POLICY}.args.port: r1trl sets it",
    f"{PROGRAM} {POLICY}.args={{tensor-parallel-size: 2}}": f"{POLICY}.args.tensor-parallel-size: "
    "r1trl sets it; set serve.policy.tensor_parallel",
    f"{PROGRAM} {POLICY}.args={{max_model_len: 9}}": f"{POLICY}.args.max_model_len: is called "
    "'max-model-len'",
    f"{PROGRAM} {POLICY}.args={{max-model-len: 9}}": f"{POLICY}.args.max-model-len: 9 has no room",
    f"{PROGRAM} {POLICY}.replicas=0": f"{POLICY}.replicas: 0",
    f"{PROGRAM} {POLICY}.modle=.": f"{POLICY}.modle: there is no such key (did you mean 'model'?)",
    f"{PROGRAM} stages.zero_samples.max_position_embeddings=64": f"{POLICY}.args: "
    "max_position_embeddings reaches no server; set hf-overrides here",
    f"{PROGRAM} stages.zero_samples.endpoints.urls=[http://a/v1]": "stages.zero_samples.endpoints."
    "serve.policy says what is served and where; leave out urls, model and api",
    f"{PROGRAM} stages.zero_samples.sampling.batch_size=3": "stages.zero_samples.sampling."
    "batch_size: the server loads the model; set it in serve.policy.args",
    f"{PROGRAM} stages.zero_samples.attn_implementation=eager": "stages.zero_samples."
    "attn_implementation: the server loads the model; set it in serve.policy.args",
    f"stages.zero_samples.rewards.taste={JUDGED}": "stages.zero_samples.serve: serve:judge: "
    "no server of this stage is called 'judge'",
    f"stages.zero_samples.serve.judge={JUDGE}": "stages.zero_samples.serve.judge: nobody asks it",
    f"stages.zero_samples.serve.judge.command=[{sys.executable}]": "stages.zero_samples.serve."
    "judge.model: must be given",
    f"stages.zero_first.serve.policy.command=[{sys.executable}]": "stages.zero_first.serve.policy: "
    "a stage of kind grpo does not draw from a server; set args.use_vllm",
}


@pytest.mark.parametrize("overrides", REFUSED)
def test_it_is_refused(overrides: str, composed: Callable[..., Composed]) -> None:
    words = overrides.replace(" stages.", "\nstages.").split("\n")
    with pytest.raises(ConfigError) as caught:
        make_plan(composed(*SERVED, *words))
    assert [p for p in caught.value.problems if p.startswith(REFUSED[overrides])], caught.value


def test_a_program_that_is_not_here_is_noted_and_refused_when_the_run_starts(
    composed: Callable[..., Composed],
) -> None:
    plan = make_plan(composed(*SERVED, f"{POLICY}.command=[no-such-vllm, serve]"))
    told = f"{POLICY}.command: there is no program 'no-such-vllm' here; pip install 'r1trl[vllm]'"
    assert [note for note in plan.notes if note.startswith(told)]
    with pytest.raises(ConfigError) as caught:
        verdict(plan, starts=True)
    assert [problem for problem in caught.value.problems if problem.startswith(told)]


def test_servers_that_fit_are_planned_and_their_form_is_no_part_of_a_result(
    composed: Callable[..., Composed],
) -> None:
    def identity(*overrides: str) -> object:
        plan = make_plan(composed(*SERVED, *overrides))
        (stage,) = [each for each in plan.stages if each.spec.stage == "zero_samples"]
        return stage.spec.identity

    one, two = identity(PROGRAM), identity(PROGRAM, f"{POLICY}.replicas=2", f"{POLICY}.ready=9")
    assert one == two
    assert identity(PROGRAM, f"{POLICY}.args={{max-model-len: 4096}}") != one != identity()
