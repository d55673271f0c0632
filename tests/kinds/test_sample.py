"""Sampling at scale: shards that survive kills, servers that fail, prompts that are done early."""

import json
import os
import random
import signal
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

from r1trl.config.schema import SamplingConfig
from r1trl.errors import StageError
from r1trl.generation.remote import ServedModel
from r1trl.generation.servers import Servers
from r1trl.plan.plan import make_plan
from r1trl.run.launch import Workers
from r1trl.run.worker import carry_out
from r1trl.stage.files import write_spec
from r1trl.types import Completion

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


def settings(servers: list[Endpoint], **more: Any) -> dict[str, Any]:
    """Return the endpoints of a stage."""
    urls = [server.url for server in servers]
    return {
        "urls": urls,
        "model": "m",
        "key_variable": "NONE",
        "concurrency": 4,
        "seconds": 10.0,
        "patience": 5.0,
        **more,
    }


def asked(count: int) -> list[dict[str, Any]]:
    """Return requests."""
    return [{"prompt": f"prompt {i}", "seed": i} for i in range(count)]


def test_replies_come_once_and_in_order_though_servers_die_are_slow_or_fail_for_a_while(
    endpoints: list[Endpoint],
) -> None:
    dies, slow, fails = endpoints
    dies.dies_after, slow.seconds, fails.broken_until = 20, 0.1, time.monotonic() + 1.5
    replies = Servers(settings(endpoints)).complete(asked(200))
    expected = [f"<answer>{i}</answer> to {f'prompt {i}'[-12:]}" for i in range(200)]
    assert [reply["text"] for reply in replies] == expected
    assert dies.seen > 20 and slow.seen > 5 and fails.seen > 20


def test_fewer_requests_than_one_server_takes_at_once_are_shared_out(
    endpoints: list[Endpoint],
) -> None:
    for server in endpoints:
        server.seconds = 0.2
    Servers(settings(endpoints, concurrency=64)).complete(asked(12))
    assert [server.seen for server in endpoints] == [4, 4, 4]


def test_requests_that_a_server_leaves_hanging_are_sent_to_one_that_waits(
    endpoints: list[Endpoint],
) -> None:
    hangs, works, _ = endpoints
    hangs.seconds = 5.0  # as vLLM does when it is told to end while it has requests
    replies = Servers(settings([hangs, works], seconds=1.0, patience=0.5)).complete(asked(8))
    assert len(replies) == 8 and hangs.seen and works.seen == 8


def test_a_completion_that_a_server_broke_off_is_drawn_again(endpoints: list[Endpoint]) -> None:
    gives_up, works, _ = endpoints
    choice = {"text": "half", "finish_reason": "abort", "stop_reason": None}
    gives_up.reply, works.seconds = {"choices": [choice]}, 0.1
    replies = Servers(settings([gives_up, works])).complete(asked(8))
    assert gives_up.seen and all(reply["finish_reason"] == "stop" for reply in replies)


def test_a_server_that_fails_rests_and_comes_back(endpoints: list[Endpoint]) -> None:
    fails, works, _ = endpoints
    fails.broken_until, works.seconds = time.monotonic() + 0.5, 0.05
    servers = Servers(settings([fails, works]))
    assert len(servers.complete(asked(20))) == 20
    while_broken = fails.seen
    assert while_broken <= 2 * 4, "a server that fails is left alone"
    time.sleep(1.5)
    assert len(servers.complete(asked(200))) == 200
    assert fails.seen > while_broken + 50


def test_where_no_server_answers_the_stage_fails_and_names_each(endpoints: list[Endpoint]) -> None:
    endpoints[0].dies_after = 0
    endpoints[1].broken_until = time.monotonic() + 60
    start = time.monotonic()
    with pytest.raises(StageError, match="no server has answered for 1 s") as caught:
        Servers(settings(endpoints[:2], patience=1.0)).complete(asked(8))
    assert time.monotonic() - start < 4
    assert endpoints[0].url in str(caught.value) and "500" in str(caught.value)


def test_a_request_that_a_server_refuses_is_not_sent_again(endpoints: list[Endpoint]) -> None:
    endpoints[0].broken_until, endpoints[0].status = time.monotonic() + 60, 404
    with pytest.raises(StageError, match="answers 404: it is broken"):
        Servers(settings(endpoints[:1])).complete(asked(1))
    assert endpoints[0].seen == 1


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


def served(model: Path, server: Endpoint, **sampling: Any) -> ServedModel:
    """Return a model that a server has."""
    return ServedModel(
        {
            "model": str(model),
            "endpoints": settings([server]),
            "sampling": asdict(SamplingConfig(max_tokens=32, **sampling)),
        }
    )


# What vLLM 0.32 answers, with the texts of a tokenizer that has a token per byte.
@pytest.mark.parametrize(
    ("choice", "drawn", "finished", "stopped", "tokens"),
    [
        pytest.param(("six", "stop", None), 4, True, None, 4, id="its end token, left out"),
        pytest.param(("six", "stop", 7), 4, True, None, 4, id="another end token, by its number"),
        pytest.param(("six", "length", None), 3, False, None, 3, id="cut off"),
        pytest.param(("six", "length", None), 5, False, None, 3, id="special tokens left out"),
        pytest.param(("six", "stop", "</b>"), 7, False, "</b>", 3, id="a stop text, left out"),
        pytest.param(("six", "stop", None), None, True, None, 4, id="a server without usage"),
    ],
)
def test_a_reply_becomes_a_draft_with_what_was_drawn_for_it(
    tiny_model: Path,
    endpoints: list[Endpoint],
    choice: tuple[str, str, Any],
    drawn: int | None,
    finished: bool,
    stopped: str | None,
    tokens: int,
) -> None:
    keys = ("text", "finish_reason", "stop_reason")
    usage = {} if drawn is None else {"usage": {"completion_tokens": drawn}}
    endpoints[0].reply = {"choices": [dict(zip(keys, choice, strict=True))], **usage}
    model = served(tiny_model, endpoints[0])
    start = model.write(Completion(0, "3 + 3 is ", spent=5), "not ")
    (draft,) = model.draw([start], 32, ["</b>"])
    assert endpoints[0].requests[0]["prompt"] == "3 + 3 is not "
    assert endpoints[0].requests[0]["max_tokens"] == 32 - len("not ")
    assert (draft.text, draft.finished, draft.stopped) == ("not six", finished, stopped)
    assert len(draft.ids) == len("not ") + tokens
    assert draft.spent == 5 + (tokens if drawn is None else drawn)


def test_servers_are_asked_for_what_is_not_openais_only_where_it_is_wanted(
    tiny_model: Path, endpoints: list[Endpoint]
) -> None:
    for server, sampling in zip(endpoints, ({}, {"top_k": 5}), strict=False):
        served(tiny_model, server, **sampling).draw([Completion(0, "3 + 3 is ")], 32, [])
    plain, with_top_k = (server.requests[0] for server in endpoints[:2])
    assert set(plain) == {"model", "prompt", "max_tokens", "seed", "temperature", "top_p"}
    assert set(with_top_k) - set(plain) == {"top_k"} and with_top_k["top_k"] == 5
