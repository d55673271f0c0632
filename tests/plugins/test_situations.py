"""Situations from public reports, each with the value that the reward must give, and why."""

import json
from pathlib import Path

import pytest

from r1trl.config.kinds import load_plugins
from r1trl.rewards.pool import Pool
from r1trl.rewards.scorer import bind_reward

LINES = Path(__file__).with_name("situations.jsonl").read_text(encoding="utf-8").splitlines()
SITUATIONS = [json.loads(line) for line in LINES]


@pytest.fixture(scope="module")
def pool():
    made = Pool(2, deadline=30.0)
    yield made
    made.close()


@pytest.fixture(scope="module")
def plugins():
    return load_plugins()


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation["id"])
def test_a_situation_gets_the_right_value(situation, pool, plugins):
    offer = plugins.find("reward", situation["reward"])
    reward = bind_reward(situation["reward"], offer.target, situation["options"])
    columns = {name: [value] for name, value in situation["columns"].items()}
    rows = {**columns, "prompt": [situation["prompt"]], "completion": [situation["completion"]]}
    result = reward.ask({**rows, "completion_ids": [[1]]}, None, pool)
    assert list(result.values) == [situation["expected"]], situation["why"]
