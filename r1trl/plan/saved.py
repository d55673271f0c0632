"""A run's settings in a file, for a process other than the driver that needs the plan."""

import os
from dataclasses import asdict
from pathlib import Path

import yaml

from r1trl.config.checked import checked
from r1trl.plan.plan import Plan, make_plan
from r1trl.process.environment import masked, resolved
from r1trl.stage.devices import NO_GPU
from r1trl.storage.writing import write_text

SETTINGS = "settings.yaml"


def write_settings(plan: Plan, folder: Path) -> None:
    """Write a run's settings for `read_plan`."""
    folder.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(masked(asdict(plan.config)), sort_keys=False, allow_unicode=True)
    write_text(folder / SETTINGS, text)


def read_plan(folder: Path) -> Plan:
    """Return the plan of the settings in a folder, as the driver has made it.

    GPUs that are hidden from this process alone count: the stages will have them.
    """
    text = (folder / SETTINGS).read_text(encoding="utf-8")
    config = checked(resolved(yaml.safe_load(text)), text)
    hidden = {name: value for name, value in NO_GPU.items() if os.environ.get(name) == value}
    for name in hidden:
        del os.environ[name]
    try:
        return make_plan(config)
    finally:
        os.environ.update(hidden)
