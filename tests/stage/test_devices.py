"""Which GPUs a process sees and takes, by what the environment, the driver and PyTorch say."""

import ctypes
import os
from typing import Any

import pytest

from r1trl.config.kinds import EvaluatedModel
from r1trl.config.schema import StageConfig
from r1trl.config.stage_parts import EndpointsConfig
from r1trl.errors import StageError
from r1trl.kinds.evaluate import EvaluateSettings
from r1trl.stage import devices
from r1trl.stage.devices import Gpus

VISIBLE, USE_CPU = "CUDA_VISIBLE_DEVICES", "ACCELERATE_USE_CPU"
SERVERS = EndpointsConfig(urls=["http://localhost:1/v1"])


class Nvml:
    """A driver's library that answers with a status, and lets us use some of its GPUs."""

    class ErrorString:
        """The library's function for the text of a status."""

        def __call__(self, status: int) -> bytes:
            return f"status {status}".encode()

    def __init__(self, status: int, gpus: int, forbidden: int) -> None:
        self.status, self.gpus, self.forbidden = status, gpus, forbidden
        self.nvmlErrorString = Nvml.ErrorString()
        self.open, self.asked = False, 0

    def nvmlInit_v2(self) -> int:  # noqa: N802 - the library's name
        self.open = self.status == 0
        return self.status

    def nvmlDeviceGetCount_v2(self, count: Any) -> int:  # noqa: N802
        assert self.open
        ctypes.cast(count, ctypes.POINTER(ctypes.c_uint))[0] = self.gpus
        return 0

    def nvmlDeviceGetHandleByIndex_v2(self, index: int, _: Any) -> int:  # noqa: N802
        return 4 if index < self.forbidden else 0

    def nvmlDeviceGetMemoryInfo(self, _: Any, memory: Any) -> int:  # noqa: N802
        self.asked += 1
        total = ctypes.cast(memory, ctypes.POINTER(ctypes.c_ulonglong))
        total[0] = (80 if self.asked > 1 else 24) * 2**30  # the first is smaller
        return 0

    def nvmlShutdown(self) -> int:  # noqa: N802
        self.open = False
        return 0


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Return the environment without what chooses devices; it is restored afterwards."""
    for name in (VISIBLE, USE_CPU, "LOCAL_RANK", "LOCAL_WORLD_SIZE"):
        monkeypatch.setenv(name, "")  # so that a later value is undone
        monkeypatch.delenv(name)
    return monkeypatch


@pytest.mark.parametrize(
    ("status", "gpus", "forbidden", "expected"),
    [
        (0, 8, 0, Gpus(8, memory=24 * 2**30)),
        (0, 8, 7, Gpus(1, memory=24 * 2**30)),  # a scheduler has given us one
        (0, 0, 0, Gpus(0)),
        (9, 0, 0, Gpus(0)),  # the library without a driver
        (18, 8, 0, Gpus(0, "status 18")),  # another version than the driver
    ],
)
def test_the_driver_says_how_many_gpus_this_process_may_use(
    status: int, gpus: int, forbidden: int, expected: Gpus
) -> None:
    library = Nvml(status, gpus, forbidden)
    assert devices.driver_gpus(lambda name: library) == expected
    assert not library.open


def test_without_the_drivers_library_there_is_no_gpu() -> None:
    def load(name: str) -> Any:
        raise OSError(name)

    assert devices.driver_gpus(load) == Gpus(0)


@pytest.mark.parametrize(
    ("value", "visible", "cpu"),
    [
        (None, ["0", "1", "2"], False),
        ("2", ["2"], False),
        ("2, 0", ["2", "0"], False),
        ("1,-1,0", ["1"], False),  # CUDA stops at the first that is none
        ("GPU-8f7a,GPU-11aa", ["GPU-8f7a", "GPU-11aa"], False),
        ("MIG-1,MIG-2", ["MIG-1", "MIG-2"], False),
        ("", [], True),
        ("-1", [], True),
        ("NoDevFiles", [], True),  # Slurm's, for a job without GPUs
    ],
)
def test_visible_gpus_are_those_that_cuda_shows(
    value: str | None, visible: list[str], cpu: bool
) -> None:
    environment = {} if value is None else {VISIBLE: value}
    assert devices.visible_gpus(environment, 3) == visible
    assert devices.wants_cpu(environment) is cpu


@pytest.mark.parametrize(
    ("value", "cpu"), [("true", True), ("1", True), ("Yes", True), ("false", False), ("0", False)]
)
def test_accelerates_variable_chooses_the_cpu(value: str, cpu: bool) -> None:
    assert devices.wants_cpu({USE_CPU: value}) is cpu


@pytest.mark.parametrize("launch", ["cpu2", "cpu2-zero3"])
def test_the_launches_for_a_laptop_choose_the_cpu(launch: str, composed: Any) -> None:
    config = composed("recipe=zero", "scale=tiny", f"launch={launch}").config
    assert devices.wants_cpu(config.launch.environment)


@pytest.mark.parametrize(
    ("stage", "expected"),
    [
        (StageConfig(kind="x"), False),
        (StageConfig(kind="x", model="m"), True),
        (StageConfig(kind="x", model="m", endpoints=SERVERS), False),
        ({"a": EvaluatedModel("m")}, True),
        ({"a": EvaluatedModel("m", endpoints=SERVERS)}, False),
        ({"a": EvaluatedModel("m", endpoints=SERVERS), "b": EvaluatedModel("n")}, True),
    ],
)
def test_a_stage_whose_models_are_behind_servers_runs_none(stage: Any, expected: bool) -> None:
    if isinstance(stage, dict):

        class Stage(StageConfig, EvaluateSettings):
            """A stage with several models."""

        models, stage = stage, Stage(kind="x")
        stage.models = models
    assert devices.runs_a_model(stage) is expected


@pytest.mark.parametrize(
    ("environment", "gpus", "expected"),
    [
        ({}, 0, None),
        ({}, 1, None),
        ({}, 8, "one process uses 1 of 8 GPUs; launch=accelerate launch.processes=8 uses all"),
        ({VISIBLE: "3"}, 8, None),
        ({VISIBLE: "3,5"}, 8, "1 of 2 GPUs; launch=accelerate launch.processes=2 uses all"),
        ({VISIBLE: ""}, 8, None),
        ({USE_CPU: "true"}, 8, None),
    ],
)
def test_unused_gpus_are_named_with_what_uses_them(
    environment: dict[str, str], gpus: int, expected: str | None
) -> None:
    idle = devices.idle_gpus(environment, gpus)
    assert idle is None if expected is None else idle and expected in idle


@pytest.mark.parametrize(
    ("before", "args", "processes", "after"),
    [
        ({VISIBLE: "3,5"}, {}, 1, "3"),
        ({VISIBLE: "3,5"}, {}, 2, "3,5"),  # each rank takes its own
        ({VISIBLE: "3"}, {}, 1, "3"),
        ({VISIBLE: "3,5"}, {"use_cpu": True}, 2, ""),
        ({USE_CPU: "true", VISIBLE: "3,5"}, {}, 1, ""),
        ({VISIBLE: "-1"}, {}, 1, ""),
    ],
)
def test_a_process_sees_the_gpus_that_are_for_it(
    before: dict[str, str],
    args: dict[str, Any],
    processes: int,
    after: str,
    environment: pytest.MonkeyPatch,
    capsys: Any,
) -> None:
    for name, value in before.items():
        environment.setenv(name, value)
    devices.hide_gpus(args, processes)
    assert os.environ[VISIBLE] == after
    assert ("uses 1 of 2 GPUs" in capsys.readouterr().out) is (after == "3" != before[VISIBLE])
    assert devices.wants_cpu(os.environ) is (after == "")


OLD = Gpus(0, "PyTorch 2.13.0+cpu is a build without CUDA")


@pytest.mark.parametrize(
    ("environment", "driver", "usable", "processes", "expected"),
    [
        ({}, Gpus(0), OLD, 1, None),
        ({}, Gpus(0), OLD, 8, None),
        ({}, Gpus(8), Gpus(8), 8, None),
        ({}, Gpus(0), Gpus(4), 1, None),  # AMD's, or a container without NVML
        ({}, Gpus(1), OLD, 1, f"has 1 GPU, and PyTorch can use no GPU ({OLD.reason}); install"),
        (
            {VISIBLE: "9"},
            Gpus(8),
            OLD,
            1,
            f"has 8 GPUs, and PyTorch can use no GPU ({OLD.reason}; ",
        ),
        ({VISIBLE: "9"}, Gpus(8), OLD, 1, "; CUDA_VISIBLE_DEVICES=9); install"),
        (
            {},
            Gpus(0, "mismatch"),
            OLD,
            1,
            "launch: NVIDIA's driver says 'mismatch', and PyTorch can",
        ),
        ({}, Gpus(4), Gpus(4), 8, "launch.processes: 8 processes, but this machine has 4 GPUs for"),
        ({}, Gpus(4), Gpus(4), 8, "; set launch.processes=4"),
    ],
)
def test_a_gpu_that_pytorch_cannot_use_is_a_problem(
    environment: dict[str, str], driver: Gpus, usable: Gpus, processes: int, expected: str | None
) -> None:
    problem = devices.missing_gpu(environment, driver, usable, processes)
    assert problem is None if expected is None else problem and expected in problem


def test_pytorch_says_why_it_has_no_gpu() -> None:
    import torch

    gpus = devices.torch_gpus()
    assert gpus.number == torch.cuda.device_count()
    assert bool(gpus.reason) is (gpus.number == 0)


@pytest.mark.parametrize(
    ("chosen", "stage", "refused"),
    [
        ({}, StageConfig(kind="x", model="m"), True),
        ({}, StageConfig(kind="x", model="m", endpoints=SERVERS), False),
        ({}, StageConfig(kind="x"), False),
        ({USE_CPU: "true"}, StageConfig(kind="x", model="m"), False),
        ({VISIBLE: ""}, StageConfig(kind="x", model="m"), False),
    ],
)
def test_a_stage_fails_if_its_gpu_is_missing_unless_it_needs_none(
    chosen: dict[str, str], stage: StageConfig, refused: bool, environment: pytest.MonkeyPatch
) -> None:
    environment.setattr(devices, "driver_gpus", lambda: Gpus(1))
    environment.setattr(devices, "torch_gpus", lambda: OLD)
    for name, value in chosen.items():
        environment.setenv(name, value)
    if refused:
        with pytest.raises(StageError, match=r"^stages\.x\.launch: NVIDIA's driver has 1 GPU, "):
            devices.take_device(stage, "stages.x")
    else:
        devices.take_device(stage, "stages.x")


def test_models_are_on_the_cpu_if_that_is_chosen(
    environment: pytest.MonkeyPatch, capsys: Any
) -> None:
    environment.setenv(USE_CPU, "true")
    devices.take_device(StageConfig(kind="x", model="m"), "stages.x")
    assert devices.device().type == "cpu" and not devices.uses_gpu()
    assert capsys.readouterr().out == "rank 0 is on the CPU\n"


@pytest.mark.parametrize(
    ("local_rank", "gpus", "taken"),
    [(None, 8, 0), ("5", 8, 5), ("5", 1, 0)],  # the last: a scheduler shows each rank its own
)
def test_every_rank_takes_a_gpu_of_its_own(
    local_rank: str | None, gpus: int, taken: int, environment: pytest.MonkeyPatch, capsys: Any
) -> None:
    import torch

    current: list[int] = []
    environment.setattr(devices, "driver_gpus", lambda: Gpus(gpus))
    environment.setattr(devices, "torch_gpus", lambda: Gpus(gpus))
    environment.setattr(torch.cuda, "is_available", lambda: True)
    environment.setattr(torch.cuda, "set_device", current.append)
    environment.setattr(torch.cuda, "current_device", lambda: current[-1])
    environment.setattr(torch.cuda, "get_device_name", lambda where: f"number {where.index}")
    if local_rank:
        environment.setenv("LOCAL_RANK", local_rank)
    devices.take_device(StageConfig(kind="x", model="m"), "stages.x")
    assert devices.device() == torch.device("cuda", taken)
    assert f"is on cuda:{taken} (number {taken})" in capsys.readouterr().out
