"""Which GPUs of a node the servers of a stage get, and on which nodes they are."""

import pytest

from r1trl.config.stage_parts import ServeConfig
from r1trl.errors import R1trlError
from r1trl.serve.layout import BESIDE, Group, Place, groups_of, places

EIGHT = [str(number) for number in range(8)]
Server = ServeConfig


@pytest.mark.parametrize(
    ("servers", "processes", "expected"),
    [
        ({"policy": Server()}, 0, {"policy": [(str(n),) for n in range(8)]}),
        ({"policy": Server(tensor_parallel=3)}, 0, {"policy": [("0", "1", "2"), ("3", "4", "5")]}),
        ({"policy": Server(replicas=1, tensor_parallel=2)}, 0, {"policy": [("0", "1")]}),
        ({"judge": Server(gpus=2)}, 6, {"judge": [("6",), ("7",)]}),
        ({"judge": Server(gpus=2, tensor_parallel=2)}, 4, {"judge": [("6", "7")]}),
        (
            {"judge": Server(gpus=2), "safety": Server(gpus=1)},
            5,
            {"judge": [("5",), ("6",)], "safety": [("7",)]},
        ),
        (
            {"policy": Server(), "judge": Server(gpus=2)},
            0,
            {"policy": [(str(n),) for n in range(6)], "judge": [("6",), ("7",)]},
        ),
    ],
)
def test_servers_have_the_last_gpus_of_a_node_and_one_the_rest(
    servers: dict[str, ServeConfig], processes: int, expected: dict[str, list[tuple[str, ...]]]
) -> None:
    found = places(servers, EIGHT, processes, "serve")
    assert found == [Place(name, gpus) for name in expected for gpus in expected[name]]
    used = [*EIGHT[:processes], *(gpu for place in found for gpu in place.gpus)]
    assert len(used) == len(set(used))


@pytest.mark.parametrize(
    ("servers", "processes", "told"),
    [
        ({"judge": Server(gpus=3)}, 6, "serve: its servers need 3 GPUs of each node, and 2 of 8"),
        ({"judge": Server(tensor_parallel=16)}, 0, r"serve\.judge: 1 replicas × tensor_parallel"),
        ({"a": Server(), "b": Server()}, 0, r"serve\.b\.gpus: say how many GPUs .*; one server"),
        ({"judge": Server()}, 8, r"serve\.judge\.gpus: say how many GPUs of each node it has$"),
        ({"judge": Server(gpus=2, replicas=3)}, 0, "3 replicas .* need 3 GPUs of a node, and it"),
    ],
)
def test_what_does_not_fit_is_said(
    servers: dict[str, ServeConfig], processes: int, told: str
) -> None:
    with pytest.raises(R1trlError, match=told):
        places(servers, EIGHT, processes, "serve")


def test_without_gpus_each_server_has_one_replica_unless_it_says_more() -> None:
    servers = {"policy": Server(replicas=2), "judge": Server(tensor_parallel=2)}
    assert [p.server for p in places(servers, [], 1, "serve")] == ["policy", "policy", "judge"]
    with pytest.raises(R1trlError, match=r"serve\.judge\.gpus: 1, but this node has no GPU"):
        places({"judge": Server(gpus=1)}, [], 1, "serve")


def test_servers_with_nodes_come_after_those_of_the_stage() -> None:
    serve = {"policy": Server(), "judge": Server(nodes=2), "safety": Server(nodes=1)}
    assert groups_of(serve, 4) == [
        Group(BESIDE, 4, 0),
        Group("judge", 2, 4),
        Group("safety", 1, 6),
    ]
    assert groups_of({"judge": Server(nodes=2)}, 4) == [Group("judge", 2, 4)]
    assert groups_of({}, 4) == []
