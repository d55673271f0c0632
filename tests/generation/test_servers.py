"""Requests to servers that die, are slow or fail for a while, and models behind such servers."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from awkward_models import awkward_model
from completion_server import Server, running_servers

from r1trl.config.schema import StageConfig
from r1trl.config.stage_parts import EndpointsConfig, SamplingConfig
from r1trl.errors import StageError
from r1trl.generation.remote import RemoteModel
from r1trl.generation.servers import CompletionClient
from r1trl.types import Completion, Model


@pytest.fixture
def servers() -> Iterator[list[Server]]:
    """Return three servers."""
    with running_servers(3) as servers:
        yield servers


def config(servers: list[Server], **more: Any) -> EndpointsConfig:
    """Return the endpoints of a stage."""
    options = {"concurrency": 4, "timeout": 10.0, "patience": 5.0, **more}
    urls = [server.url for server in servers]
    return EndpointsConfig(urls=urls, model="m", api_key_env="NONE", **options)


def requests(count: int) -> list[dict[str, Any]]:
    """Return requests with seeds of their own."""
    return [{"prompt": f"prompt {i}", "seed": i} for i in range(count)]


def test_replies_come_once_and_in_order_though_servers_die_are_slow_or_fail_for_a_while(
    servers: list[Server],
) -> None:
    dies, slow, fails = servers
    dies.dies_after, slow.seconds, fails.broken_until = 20, 0.1, time.monotonic() + 1.5
    replies = CompletionClient(config(servers)).complete(requests(200))
    expected = [f"<answer>{i}</answer> to {f'prompt {i}'[-12:]}" for i in range(200)]
    assert [reply["text"] for reply in replies] == expected
    assert dies.received > 20 and slow.received > 5 and fails.received > 20


def test_fewer_requests_than_one_servers_connections_are_spread_over_all(
    servers: list[Server],
) -> None:
    for server in servers:
        server.seconds = 0.2
    CompletionClient(config(servers, concurrency=64)).complete(requests(12))
    assert [server.received for server in servers] == [4, 4, 4]


def test_requests_that_hang_on_one_server_are_sent_to_an_idle_one(servers: list[Server]) -> None:
    hangs, works, _ = servers
    hangs.seconds = 5.0  # as vLLM does if it is stopped while it has requests
    client = CompletionClient(config([hangs, works], timeout=1.0, patience=0.5))
    assert len(client.complete(requests(8))) == 8
    assert hangs.received and works.received == 8


def test_an_aborted_completion_is_requested_again(servers: list[Server]) -> None:
    aborts, works, _ = servers
    choice = {"text": "half", "finish_reason": "abort", "stop_reason": None}
    aborts.reply, works.seconds = {"choices": [choice]}, 0.1
    replies = CompletionClient(config([aborts, works])).complete(requests(8))
    assert aborts.received and all(reply["finish_reason"] == "stop" for reply in replies)


def test_a_failing_server_is_left_alone_and_comes_back(servers: list[Server]) -> None:
    fails, works, _ = servers
    fails.broken_until, works.seconds = time.monotonic() + 0.5, 0.05
    client = CompletionClient(config([fails, works]))
    assert len(client.complete(requests(20))) == 20
    assert fails.failed <= 2 * 4, "a failing server is left alone"
    received = fails.received
    time.sleep(1.5)
    assert len(client.complete(requests(200))) == 200
    assert fails.received > received + 50


def test_without_any_reply_the_stage_fails_and_names_each_server(servers: list[Server]) -> None:
    servers[0].dies_after = 0
    servers[1].broken_until = time.monotonic() + 60
    start = time.monotonic()
    with pytest.raises(StageError, match="no server has answered for 1 s") as caught:
        CompletionClient(config(servers[:2], patience=1.0)).complete(requests(8))
    assert time.monotonic() - start < 4
    assert servers[0].url in str(caught.value) and "500" in str(caught.value)


def test_a_request_with_a_permanent_error_is_not_sent_again(servers: list[Server]) -> None:
    servers[0].broken_until, servers[0].status = time.monotonic() + 60, 404
    with pytest.raises(StageError, match="answers 404: it is broken"):
        CompletionClient(config(servers[:1])).complete(requests(1))
    assert servers[0].received == 1


def remote(model: Path, server: Server, **sampling: Any) -> RemoteModel:
    """Return a model behind a server."""
    return RemoteModel(
        StageConfig(
            kind="sample",
            model=Model(str(model)),
            endpoints=config([server]),
            sampling=SamplingConfig(max_tokens=32, **sampling),
        )
    )


# The replies of vLLM 0.32, with the texts of a tokenizer that has a token per byte.
@pytest.mark.parametrize(
    ("choice", "reported", "finished", "stop_reason", "tokens"),
    [
        pytest.param(("six", "stop", None), 4, True, None, 4, id="its end token, left out"),
        pytest.param(("six", "stop", 7), 4, True, None, 4, id="another end token, by its number"),
        pytest.param(("six", "length", None), 3, False, None, 3, id="cut off"),
        pytest.param(("six", "length", None), 5, False, None, 3, id="special tokens left out"),
        pytest.param(("six", "stop", "</b>"), 7, False, "</b>", 3, id="a stop text, left out"),
        pytest.param(("six", "stop", None), None, True, None, 4, id="a server without usage"),
    ],
)
def test_a_reply_continues_its_completion_and_adds_to_its_cost(
    tiny_model: Path,
    servers: list[Server],
    choice: tuple[str, str, Any],
    reported: int | None,
    finished: bool,
    stop_reason: str | None,
    tokens: int,
) -> None:
    keys = ("text", "finish_reason", "stop_reason")
    usage = {} if reported is None else {"usage": {"completion_tokens": reported}}
    servers[0].reply = {"choices": [dict(zip(keys, choice, strict=True))], **usage}
    model = remote(tiny_model, servers[0])
    start = model.append(Completion(0, "3 + 3 is ", generated_tokens=5), "not ")
    (completion,) = model.generate([start], 32, ["</b>"])
    assert servers[0].requests[0]["prompt"] == "3 + 3 is not "
    assert servers[0].requests[0]["max_tokens"] == 32 - len("not ")
    assert (completion.text, completion.finished) == ("not six", finished)
    assert completion.stop_reason == stop_reason
    assert len(completion.token_ids) == len("not ") + tokens
    assert completion.generated_tokens == 5 + (tokens if reported is None else reported)


def test_requests_name_neutral_settings_too_as_a_server_fills_in_the_models_own(
    tiny_model: Path, servers: list[Server], tokenizer: Any
) -> None:
    for server, sampling in zip(servers, ({}, {"top_k": 5}), strict=False):
        remote(tiny_model, server, **sampling).generate([Completion(0, "3 + 3 is ")], 32, [])
    plain, with_top_k = (server.requests[0] for server in servers[:2])
    neutral = {"temperature": 1.0, "top_p": 1.0, "top_k": -1, "min_p": 0.0}
    neutral["repetition_penalty"] = 1.0
    assert {name: plain[name] for name in neutral} == neutral
    assert plain["stop_token_ids"] == [tokenizer.eos_token_id]
    assert with_top_k["top_k"] == 5


def test_openais_own_servers_get_only_what_they_know(
    tiny_model: Path, servers: list[Server]
) -> None:
    model = remote(tiny_model, servers[0])
    model.api = "openai"
    model.generate([Completion(0, "3 + 3 is ")], 32, [])
    known = {"model", "prompt", "max_tokens", "seed", "temperature", "top_p"}
    assert set(servers[0].requests[0]) == known


def test_the_end_token_of_a_servers_completion_is_the_one_that_ended_it(
    servers: list[Server], tmp_path: Path
) -> None:
    path = awkward_model("gemma", tmp_path)
    model = remote(path, servers[0])
    eos, end = model.tokenizer.convert_tokens_to_ids(["<eos>", "<end_of_turn>"])
    assert set(model.ends) == {eos, end}
    for reason, last in ((eos, eos), (end, end), (None, end)):
        choice = {"text": "So", "finish_reason": "stop", "stop_reason": reason}
        servers[0].reply = {"choices": [choice]}
        (completion,) = model.generate([Completion(0, "3 + 3 is ")], 32, [])
        assert completion.finished and completion.token_ids[-1] == last
        assert completion.stop_reason is None and completion.text == "So"
    assert sorted(servers[0].requests[0]["stop_token_ids"]) == sorted([eos, end])
