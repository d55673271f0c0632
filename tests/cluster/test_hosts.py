"""The hosts that tests of clusters run on are hosts of their own, with cables that break."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from hosts import Hosts
from ranks import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.long]
SERVE = "import socket; s = socket.create_server(('', 5000)); s.listen(); print(flush=True); {}"
ANSWER = SERVE.format("s.accept()[0].sendall(b'x' * {size})")
READ = """
import socket, time
begin = time.monotonic()
with socket.create_connection(("{name}", 5000), timeout=3) as s:
    while s.recv(1 << 16):
        pass
print(time.monotonic() - begin)
"""


def seconds_to_read(hosts: Hosts, size: int, reader: int = 1, server: int = 2) -> float:
    """Return how long one host reads bytes from another."""
    serve = [sys.executable, "-c", ANSWER.format(size=size)]
    with hosts.on(server, serve, stdout=subprocess.PIPE) as serving:
        assert serving.stdout
        serving.stdout.readline()
        read = READ.format(name=hosts.name(server))
        try:
            return float(hosts.ask(reader, [sys.executable, "-c", read]))
        finally:
            serving.kill()


@pytest.mark.parametrize(("reader", "server"), [(1, 2), (2, 1), (0, 1), (2, 0)])
def test_each_host_reaches_each_other_by_its_name(hosts: Hosts, reader: int, server: int) -> None:
    assert seconds_to_read(hosts, 1, reader, server) < 1


def test_a_host_has_its_name_processes_and_shared_memory(hosts: Hosts, tmp_path: Path) -> None:
    assert [hosts.ask(k, ["hostname"]).strip() for k in (0, 1, 2)] == ["ctl", "n1", "n2"]
    hosts.ask(1, ["sh", "-c", f"ls /proc > {tmp_path}/seen; touch /dev/shm/mine"])
    numbers = [name for name in (tmp_path / "seen").read_text().split() if name.isdigit()]
    assert len(numbers) < 20 < len(psutil.pids())
    assert "mine" not in hosts.ask(2, ["ls", "/dev/shm"])


def test_nothing_goes_through_a_cable_that_was_pulled_until_it_is_mended(hosts: Hosts) -> None:
    hosts.cut(2)
    with pytest.raises(AssertionError, match=r"timed out|No route to host"):
        seconds_to_read(hosts, 1)
    hosts.mend(2)
    assert seconds_to_read(hosts, 1) < 3  # a lost packet is sent again after one second


@pytest.mark.parametrize(("reader", "server"), [(1, 2), (2, 1)])
def test_a_slow_cable_is_slow_in_both_directions(hosts: Hosts, reader: int, server: int) -> None:
    hosts.slow(2, "1mbit")
    assert 1 < seconds_to_read(hosts, 250_000, reader, server) < 20  # two seconds at 1 Mbit/s
    hosts.mend(2)
    assert seconds_to_read(hosts, 250_000, reader, server) < 1


def test_a_folder_may_be_another_on_one_host(hosts: Hosts, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    hosts.own_folder(2, tmp_path)
    assert [hosts.ask(k, ["ls", tmp_path]) for k in (1, 2)] == ["file\n", ""]
    hosts.shared_folder(2, tmp_path)
    assert hosts.ask(2, ["ls", tmp_path]) == "file\n"


def test_signals_reach_a_command_and_its_status_comes_back(hosts: Hosts) -> None:
    script = "trap 'exit 7' TERM; echo; while :; do sleep 0.05; done"
    with hosts.on(1, ["sh", "-c", script], stdout=subprocess.PIPE) as command:
        assert command.stdout
        command.stdout.readline()
        command.send_signal(signal.SIGSTOP)
        command.send_signal(signal.SIGCONT)
        command.terminate()
        assert command.wait(10) == 7
    command = hosts.on(1, ["sleep", "60"])
    command.send_signal(signal.SIGSTOP)
    command.kill()
    assert command.wait(10) == -signal.SIGKILL


def test_everything_on_a_host_can_be_killed_daemons_too(hosts: Hosts) -> None:
    other = hosts.on(2, ["sleep", "60"])
    commands = [hosts.on(1, ["sh", "-c", "setsid sleep 60 & sleep 60"]) for _ in range(2)]
    wait_for(lambda: len(hosts.processes(1, "sleep 60")) == 6)
    hosts.processes(1, "sleep 60")[0].suspend()
    hosts.kill_all(1)
    assert hosts.pids(1) == []
    assert [command.wait(10) for command in commands] == [-signal.SIGKILL] * 2
    assert other.poll() is None
    other.kill()


def test_two_sets_of_hosts_fit_and_are_gone_at_once() -> None:
    with Hosts(1) as one, Hosts(1) as two:
        left = [hosts.on(1, ["sh", "-c", "setsid sleep 60 & sleep 60"]) for hosts in (one, two)]
        wait_for(lambda: len(one.pids(1)) == len(two.pids(1)) == 3)
        pids = one.pids(1) + two.pids(1)
        assert seconds_to_read(one, 1, 0, 1) < 1
        begin = time.monotonic()
    assert time.monotonic() - begin < 5
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert all(command.returncode is not None for command in left)


def test_hosts_end_with_the_process_that_made_them_however_it_ends() -> None:
    made = (
        "import time; from hosts import Hosts\n"
        "with Hosts(1) as hosts:\n"
        "    hosts.on(1, ['setsid', 'sleep', '61']); time.sleep(0.2)\n"
        "    print(*hosts.pids(1), flush=True); time.sleep(60)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-c", made]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as maker:
        assert maker.stdout
        pids = [int(pid) for pid in maker.stdout.readline().split()]
        assert all(map(psutil.pid_exists, pids)) and pids
        maker.kill()
    wait_for(lambda: not any(map(psutil.pid_exists, pids)), 5)
