"""Hosts, a Slurm and a Ray, made once for a process of tests, when one first asks for them."""

import shutil
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import host
import pytest
import slurm as slurm_module
from hosts import Hosts
from machine import require
from rays import Rays
from slurm import Slurm


@pytest.fixture(scope="session")
def hosts_of_session() -> Iterator[Hosts]:
    """Make `ctl`, `n1` and `n2`."""
    require("hosts", not host.missing(), host.missing())
    with Hosts() as made:
        yield made


@pytest.fixture(scope="session")
def slurm_of_session(hosts_of_session: Hosts) -> Iterator[Slurm]:
    """Start Slurm on the hosts."""
    require("slurm", not slurm_module.missing(), f"no program {slurm_module.missing()}")
    folder = Path(tempfile.mkdtemp(prefix="r1trl-slurm-"))
    with Slurm(hosts_of_session, folder) as made:
        yield made
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def rays_of_session(hosts_of_session: Hosts) -> Iterator[Rays]:
    """Start Ray on the hosts."""
    require("ray", find_spec("ray"))
    folder = Path(tempfile.mkdtemp(prefix="r1trl-ray-"))
    with Rays(hosts_of_session, folder) as made:
        yield made
    shutil.rmtree(folder)


@pytest.fixture
def hosts(hosts_of_session: Hosts) -> Iterator[Hosts]:
    """Return the hosts `ctl`, `n1` and `n2`, with whole cables before and after a test."""
    yield hosts_of_session
    for k in hosts_of_session.numbers:
        hosts_of_session.mend(k)


@pytest.fixture
def slurm(hosts: Hosts, slurm_of_session: Slurm) -> Slurm:
    """Return a Slurm without jobs, whose hosts are idle."""
    slurm_of_session.ready()
    return slurm_of_session


@pytest.fixture
def rays(hosts: Hosts, rays_of_session: Rays) -> Rays:
    """Return a Ray that has a node on each host."""
    rays_of_session.ready()
    return rays_of_session
