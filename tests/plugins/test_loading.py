"""Plugins are found in three equal ways, say what they offer, and are never skipped in silence."""

import sys
from pathlib import Path
from typing import Any, Literal

import pytest

from r1trl.errors import ConfigError
from r1trl.plugins.hooks import notify
from r1trl.plugins.loading import load
from r1trl.types import ROLES, Stage, StageResult

BREVITY = """\
import r1trl

def brevity(prompts, completions, completion_ids, *, limit: int = 10, **columns):
    '''Return 1 for a short completion.

    Longer ones get 0.
    '''
    return [float(len(c) <= limit) for c in completions]

@r1trl.hookimpl
def r1trl_rewards():
    return {"brevity": brevity}
"""
EVERYTHING = """\
import r1trl

HEARD = []

class Draw:
    def __init__(self, *, by: str = "source"):
        self.by = by
    def choose(self, rows, count, step, seed):
        return list(range(count))

def reward(prompts, completions, completion_ids, **columns):
    return [0.0 for _ in completions]

def keep(rows, *, least: float = 0.5):
    return rows

def hand_over(result):
    return result

def rows(*, count: int):
    return count

@r1trl.hookimpl
def r1trl_rewards():
    return {"my_reward": reward}

@r1trl.hookimpl
def r1trl_filters():
    return {"my_filter": keep}

def work_nothing(work):
    return {}

@r1trl.hookimpl
def r1trl_kinds():
    return {"my_kind": r1trl.Kind(run=work_nothing), "old_kind": "my_kind"}

@r1trl.hookimpl
def r1trl_samplers():
    return {"my_sampler": Draw}

@r1trl.hookimpl
def r1trl_transitions():
    return {"my_transition": hand_over}

@r1trl.hookimpl
def r1trl_datasets():
    return {"my_dataset": rows}

@r1trl.describe(keeps_answer=True)
def as_it_is(row, settings, rng):
    return row, settings

@r1trl.hookimpl
def r1trl_variants():
    return {"my_variant": as_it_is}

class Show:
    def __init__(self, *, place: str = "here"):
        self.place = place

@r1trl.hookimpl
def r1trl_trackers():
    return {"my_tracker": Show}

@r1trl.hookimpl
def r1trl_logged(stage, step, metrics):
    HEARD.append(("logged", stage.name, step, metrics["loss"]))

@r1trl.hookimpl
def r1trl_stage_started(stage):
    HEARD.append(("started", stage.name))

@r1trl.hookimpl
def r1trl_stage_finished(stage, result):
    HEARD.append(("finished", stage.name, result.kind))
"""
OFFERING = """\
@r1trl.hookimpl
def r1trl_rewards():
    return {"mine": mine}
"""


def problems_of(*load_: str, block: tuple[str, ...] = ()) -> list[str]:
    """Return what is wrong with plugins."""
    with pytest.raises(ConfigError) as caught:
        load(load_, block)
    return caught.value.problems


def install(folder: Path, module: str, entry: str, distribution: str = "acme") -> None:
    """Put the metadata of an installed distribution with one entry point into a folder."""
    info = folder / f"{distribution}-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(f"[r1trl]\n{entry} = {module}\n")


@pytest.mark.parametrize("way", ["file", "module", "package"])
def test_a_plugin_is_found_as_a_file_a_module_and_an_installed_package(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plugin_file: Any
) -> None:
    module = f"acme_{way}"
    path = plugin_file(BREVITY, f"{module}.py")
    monkeypatch.syspath_prepend(tmp_path)
    if way == "package":
        install(tmp_path, module, "brevity")
    extra = {"file": [path], "module": [module], "package": []}[way]
    offer = load(extra).find("reward", "brevity")
    assert offer.plugin == {"file": path, "module": module, "package": "brevity"}[way]
    assert offer.bind({"limit": 3})(["p", "p"], ["abc", "abcd"], [[], []]) == [1.0, 0.0]
    assert offer.summary == "Return 1 for a short completion."


def test_a_blocked_plugin_offers_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "acme_blocked.py").write_text("raise RuntimeError('imported all the same')\n")
    monkeypatch.syspath_prepend(tmp_path)
    install(tmp_path, "acme_blocked", "broken")
    rewards = load(block=["broken", "math"]).offers["reward"]
    assert "think_format" in rewards and "accuracy" not in rewards
    assert "acme_blocked" not in sys.modules


def test_blocking_what_is_not_installed_suggests_what_is() -> None:
    (problem,) = problems_of(block=("mth",))
    assert problem.startswith("plugins.block: no installed plugin is called 'mth'")
    assert "(did you mean 'math'?)" in problem


def test_a_name_offered_twice_names_both_plugins_and_the_mend(plugin_file: Any) -> None:
    path = plugin_file(BREVITY.replace('"brevity"', '"accuracy"'))
    assert problems_of(path) == [
        f"two plugins offer a reward called 'accuracy': math and {path}; "
        "block one with plugins.block=[…]"
    ]
    assert load([path], ["math"]).find("reward", "accuracy").plugin == path


def test_two_packages_with_a_plugin_of_one_name_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "acme_math.py").write_text(BREVITY)
    monkeypatch.syspath_prepend(tmp_path)
    install(tmp_path, "acme_math", "math")
    (problem,) = problems_of()
    assert "'math'" in problem and "acme 1.2" in problem and "r1trl" in problem


BAD_PLUGINS = {
    "a misspelt hook": (
        OFFERING.replace("r1trl_rewards", "r1trl_reward"),
        ["{path}", "r1trl has no hook 'r1trl_reward'", "(did you mean 'r1trl_rewards'?)"],
    ),
    "a hook without the decorator": (
        OFFERING.replace("@r1trl.hookimpl\n", ""),
        ["{path}", "'r1trl_rewards' needs the decorator @r1trl.hookimpl"],
    ),
    "a missing module": (
        "import no_such_library\n",
        ["plugins.load: '{path}' cannot be imported", "No module named 'no_such_library'"],
    ),
    "a syntax error": (
        "def broken(:\n",
        ["plugins.load: '{path}' cannot be imported: SyntaxError"],
    ),
    "a hook with a parameter of its own": (
        OFFERING.replace("r1trl_rewards()", "r1trl_rewards(stage)"),
        ["plugins.load: '{path}' has a hook that does not fit", "stage"],
    ),
    "a hook that raises": (
        OFFERING.replace("return", "raise RuntimeError('no licence')\n    return"),
        ["plugin '{path}': r1trl_rewards failed: RuntimeError: no licence"],
    ),
    "a kind that is none": (
        "@r1trl.hookimpl\ndef r1trl_kinds(): return {'mine': mine}\n",
        ["plugin '{path}'", "r1trl_kinds offers 'mine' as function; a kind is an r1trl.Kind"],
    ),
    "a reward that cannot be called": (
        OFFERING.replace('{"mine": mine}', '{"mine": 3}'),
        ["plugin '{path}'", "r1trl_rewards offers 'mine' as int", "a function or a class"],
    ),
    "a hook that returns a list": (
        OFFERING.replace('{"mine": mine}', "[mine]"),
        ["plugin '{path}': r1trl_rewards returned list; it returns a mapping"],
    ),
}


@pytest.mark.parametrize("what", BAD_PLUGINS)
def test_a_broken_plugin_is_named_with_the_reason(what: str, plugin_file: Any) -> None:
    source, telling = BAD_PLUGINS[what]
    path = plugin_file(f"import r1trl\ndef mine(*_, **__): return []\n{source}")
    (problem,) = problems_of(path)
    for part in telling:
        assert part.format(path=path) in problem


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    (problem,) = problems_of(str(tmp_path / "nowhere.py"))
    assert f"there is no file {tmp_path / 'nowhere.py'}" in problem


def test_an_installed_plugin_that_fails_is_named_with_its_distribution(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "acme_needy.py").write_text("import no_such_library\n")
    monkeypatch.syspath_prepend(tmp_path)
    install(tmp_path, "acme_needy", "needy")
    (problem,) = problems_of()
    assert problem.startswith("plugin 'needy' (acme 1.2) cannot be imported: ModuleNotFoundError")
    assert "no_such_library" in problem


def test_everything_wrong_with_plugins_is_told_at_once(plugin_file: Any) -> None:
    paths = [
        plugin_file("import no_such_library\n", "one.py"),
        plugin_file("def r1trl_filter(): return {}\n", "two.py"),
        plugin_file(BREVITY.replace('"brevity"', '"tag_count"'), "three.py"),
    ]
    found = problems_of(*paths, "no_such_module", block=("nobody",))
    for part in ("nobody", "no_such_library", "no_such_module", "r1trl_filter", "tag_count"):
        assert sum(part in problem for problem in found) == 1, part
    assert len(found) == 5


def test_every_kind_of_offer_and_all_notices_reach_their_plugin(
    plugin_file: Any, tmp_path: Path
) -> None:
    path = plugin_file(EVERYTHING)
    plugins = load([path])
    for role in ROLES:
        assert plugins.find(role, f"my_{role}").plugin == path
    assert plugins.kind("my_kind").run.__name__ == "work_nothing"
    assert plugins.aliases["kind"] == {"old_kind": "my_kind"}
    assert plugins.find("sampler", "my_sampler").bind({"by": "domain"}).by == "domain"
    assert plugins.find("dataset", "my_dataset").bind({"count": 7})() == 7
    stage = Stage("rl", "grpo", tmp_path, {})
    result = StageResult("rl", "grpo", tmp_path)
    notify(plugins.manager, "r1trl_stage_started", "stages.rl", stage=stage)
    row = {"step": 2, "metrics": {"loss": 0.5}}
    notify(plugins.manager, "r1trl_logged", "stages.rl", stage=stage, **row)
    notify(plugins.manager, "r1trl_stage_finished", "stages.rl", stage=stage, result=result)
    heard = plugins.manager.get_plugin(path).HEARD
    assert heard == [("started", "rl"), ("logged", "rl", 2, 0.5), ("finished", "rl", "grpo")]


def test_an_unknown_name_is_refused_with_what_there_is() -> None:
    with pytest.raises(ConfigError, match=r"no reward is called 'acuracy' \(did you mean 'acc"):
        load().find("reward", "acuracy")


SIGNATURES = {
    "plain": "import r1trl\nfrom typing import Any, Literal, TYPE_CHECKING\n",
    "text": (
        "from __future__ import annotations\n"
        "import r1trl\nfrom typing import Any, Literal, TYPE_CHECKING\n"
    ),
}
OPTIONS = """\
if TYPE_CHECKING:
    from somewhere import Unknown

def mine(prompts, completions, completion_ids, *, least: float = 0.5, count: int | None = None,
         how: Literal["strict", "lax"] = "lax", names: list[str] = [], free=3,
         strange: "Unknown" = None, **columns: Any):
    return [1.0 for _ in completions]

class Drawn:
    def __init__(self, *, begin: dict[str, int], by: Literal["source", "domain"] = "source"):
        self.begin, self.by = begin, by

@r1trl.verifier
def judged(completion: str, solution: str = "x", *, strict: bool = False):
    return 1.0

@r1trl.hookimpl
def r1trl_rewards():
    return {"mine": mine, "judged": judged}

@r1trl.hookimpl
def r1trl_samplers():
    return {"drawn": Drawn}
"""


@pytest.mark.parametrize("way", SIGNATURES)
def test_options_are_the_keyword_only_parameters_with_their_types(
    way: str, plugin_file: Any
) -> None:
    plugins = load([plugin_file(SIGNATURES[way] + OPTIONS)])
    assert plugins.find("reward", "mine").option_types() == {
        "least": float,
        "count": int | None,
        "how": Literal["strict", "lax"],
        "names": list[str],
        "free": Any,
        "strange": Any,
    }
    assert plugins.find("reward", "judged").option_types() == {"strict": bool}
    assert plugins.find("sampler", "drawn").option_types() == {
        "begin": dict[str, int],
        "by": Literal["source", "domain"],
    }
