"""Sample stages: shards that survive kills, early stopping per prompt, servers that fail."""

import json
import os
import random
import signal
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

from r1trl.plan.plan import make_plan
from r1trl.run.launch import Workers
from r1trl.run.worker import carry_out
from r1trl.stage.files import write_spec

RECIPE = """# @package _global_
defaults:
  - /stage@stages.samples: sample
  - _self_
stages:
  samples:
    model: ${model.path}
    template: ${template.zero}
    data:
      problems: {limit: 48}
    sampling: {n: 2, shard_size: 4}
    rewards:
      accuracy: {weight: 1.0, answer: answer_tag}
"""
Stage = Callable[..., Path]


@pytest.fixture
def stage(tmp_path: Path, composed: Any) -> Stage:
    """Return a function that lays out a sample stage and returns its folder."""
    (tmp_path / "conf" / "recipe").mkdir(parents=True)
    (tmp_path / "conf" / "recipe" / "samples.yaml").write_text(RECIPE)

    def lay_out(name: str, *overrides: str) -> Path:
        shared = ["recipe=samples", "scale=tiny", f"runs_dir={tmp_path}", f"name={name}"]
        config, _ = composed(*shared, *overrides, own=tmp_path / "conf")
        planned = make_plan(config).stages[0]
        write_spec(planned.folder, planned.work)
        return planned.folder

    return lay_out


def rollouts(folder: Path) -> list[dict[str, Any]]:
    """Return the rows of rollouts.parquet."""
    return Dataset.from_parquet(
        str(folder / "rollouts.parquet"), cache_dir=str(folder / "cache")
    ).to_list()


@pytest.mark.slow
def test_a_stage_killed_ten_times_ends_with_the_rows_of_one_that_was_not(stage: Stage) -> None:
    small = "stages.samples.sampling={n: 2, shard_size: 2}"
    whole, killed = stage("whole", small), stage("killed", small)
    local = {"how": "local", "environment": {}}
    source, kills = random.Random(3), 0
    with Workers() as workers:
        assert workers.run(whole, local) == 0
        while not (killed / "result.json").exists():
            after = source.choice([0.1, 0.4, 0.7, None, None])  # seconds, or a shard more
            kill = threading.Thread(target=kill_soon, args=[workers._warm.pid, killed, after])
            if kills < 10:
                kill.start()
            kills += workers.run(killed, local) == -signal.SIGKILL
    assert kills == 10
    assert rollouts(killed) == rollouts(whole)
    assert Counter(row["problem"] for row in rollouts(killed)) == dict.fromkeys(range(48), 2)


def kill_soon(pid: int, folder: Path, seconds: float | None) -> None:
    """Kill the worker of a stage some time after its start, or once it has finished a shard."""
    begun, before = time.monotonic(), len(list(folder.glob("parts/*/*.parquet")))
    while time.monotonic() - begun < 60:
        there = len(list(folder.glob("parts/*/*.parquet")))
        if there > before if seconds is None else time.monotonic() - begun > seconds:
            kill_child(pid)
            return
        time.sleep(0.005)


def kill_child(pid: int) -> None:
    """Kill the worker that a warm process has forked."""
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        os.kill(int(child), signal.SIGKILL)


@pytest.mark.slow
def test_prompts_are_drawn_again_until_enough_answers_are_right(stage: Stage) -> None:
    folder = stage("early", "stages.samples.sampling={n: 2, enough: 1, max_n: 5}")
    carry_out(folder)
    groups = defaultdict(list)
    for row in rollouts(folder):
        groups[row["problem"]].append(row["rewards/accuracy"])
    sizes = Counter()
    for values in groups.values():
        before_last_round = values[: {2: 0, 4: 2, 5: 4}[len(values)]]
        assert not any(before_last_round), "it was done before"
        assert len(values) == 5 or any(values), "it should have been drawn again"
        sizes[len(values)] += 1
    assert len(groups) == 48 and set(sizes) == {2, 4, 5}


@pytest.mark.slow
def test_what_was_drawn_with_other_settings_is_drawn_again(stage: Stage) -> None:
    folder = stage("same", "stages.samples.data.problems.limit=4")
    carry_out(folder)
    before = rollouts(folder)
    (folder / "result.json").unlink()
    stage("same", "stages.samples.data.problems.limit=4", "stages.samples.sampling.max_tokens=3")
    carry_out(folder)
    assert max(row["completion_tokens"] for row in before) > 3
    assert max(row["completion_tokens"] for row in rollouts(folder)) == 3


class Endpoint(ThreadingHTTPServer):
    """A server of completions: the text tells the prompt and the seed; it can be slow or fail."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seconds, self.broken_until, self.dies_after = 0.0, 0.0, 10**9
        self.status, self.seen = 500, 0
        self.requests, self.reply = list[dict[str, Any]](), dict[str, Any]()
        threading.Thread(target=self.serve_forever, args=[0.01], daemon=True).start()

    @property
    def url(self) -> str:
        """Return its address."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, *_: Any) -> None:
        """Say nothing where a client has gone."""


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    server: Endpoint

    def do_POST(self) -> None:
        """Answer, fail or drop the connection."""
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.seen += 1
        self.server.requests.append(request)
        if self.server.seen > self.server.dies_after:
            self.connection.close()
            return
        time.sleep(self.server.seconds)
        broken = time.monotonic() < self.server.broken_until
        text = f"<answer>{request['seed']}</answer> to {request['prompt'][-12:]}"
        choice = {"text": text, "finish_reason": "stop", "stop_reason": None}
        reply = self.server.reply or {"choices": [choice]}
        body = b"it is broken" if broken else json.dumps(reply).encode()
        self.send_response(self.server.status if broken else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def endpoints() -> Iterator[list[Endpoint]]:
    """Return three servers."""
    started = [Endpoint() for _ in range(3)]
    yield started
    for server in started:
        server.shutdown()
        server.server_close()


def test_a_sample_stage_draws_from_servers(stage: Stage, endpoints: list[Endpoint]) -> None:
    dies, slow, fails = endpoints
    dies.dies_after, slow.seconds, fails.broken_until = 10, 0.05, time.monotonic() + 1
    urls = ",".join(server.url for server in endpoints)
    folder = stage("served", f"stages.samples.endpoints={{urls: [{urls}], model: m, patience: 20}}")
    carry_out(folder)
    found = rollouts(folder)
    assert Counter(row["problem"] for row in found) == dict.fromkeys(range(48), 2)
    assert len({row["completion"] for row in found}) == 96, "every request has a seed of its own"
    assert all(row["finished"] and row["answer/accuracy"].isdecimal() for row in found)
    assert all(row["tokens_spent"] == row["completion_tokens"] > 5 for row in found)
