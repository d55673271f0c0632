"""A run whose rows, completions, logs and errors are hostile texts: all survive, none acts."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from completion_server import running_servers
from datasets import Dataset
from hostile_texts import ALL, jsonl
from stage_runs import Run

from r1trl import cli
from r1trl.process.texts import ACTING, OF_LIBRARIES, whole
from r1trl.report.charts import bundle
from r1trl.storage.jsonl import read_rows

pytestmark = [pytest.mark.slow, pytest.mark.long]

RECIPE = """# @package _global_
defaults:
  - /stage@stages.samples: sample
  - /stage@stages.rl: grpo
  - /stage@stages.tuned: sft
  - _self_
stages:
  samples:
    model: ${model.path}
    template: ${template.zero}
    data: {texts: {path: ROWS}}
    sampling: {n: 1}
    endpoints: {urls: [URL]}
    rewards: {hostile: {}, think_format: {profile: think}}
    metrics: {correct: hostile}
  rl:
    template: ${template.zero}
    data: {texts: {path: SHORT}}
    rewards: {hostile: {}, picky: {}}
    args: {max_steps: 2, max_completion_length: 8, logging_steps: 1, save_strategy: "no"}
  tuned:
    data: {samples: {path: "stage:samples"}}
    template: "{{ prompt }}"
    max_truncated_rate: 1.0
    args: {max_steps: 2, max_length: 64}
"""
PLUGIN = """
import json
import itertools
from pathlib import Path

import r1trl

TEXTS = json.loads(Path(__file__).with_name("texts.json").read_text())
NEXT = itertools.cycle(TEXTS)

def hostile(prompts, completions, completion_ids, log_extra=None, log_metric=None, **columns):
    log_extra("a | <b>\\ud800\\x1b[31m", [next(NEXT) for _ in completions])
    log_metric("odd/<script>|\\u2028", 1.0)
    print("\\u2028 said by a plugin")
    return [len(text) % 5 / 4 for text in completions]

@r1trl.verifier
def picky(completion, solution):
    if len(completion) % 4 == 0:
        raise ValueError(f"\\x1b]0;owned\\x07\\ud800 {solution}")
    return float(len(completion) % 2)

@r1trl.hookimpl
def r1trl_rewards():
    return {"hostile": hostile, "picky": picky}
"""
SMALL = ("scale.rl.group=4", "scale.rl.outputs=16", "scale.rl.minibatches=1")
SMALL += ("scale.rl.micro_batch=16", "~stages.rl.transitions", "~stages.tuned.transitions")
SMALL += ("stages.rl.scoring={max_failure_rate: 1.0}", "wandb={enabled: true, mode: offline}")


@pytest.fixture(scope="module")
def run(tmp_path_factory: Any) -> Run:
    """Return a run of three stages on hostile texts, carried out."""
    folder = tmp_path_factory.mktemp("hostile")
    rows = [{"prompt": f"{i}: {t[:2000]}", "solution": t} for i, t in enumerate(ALL)]
    (folder / "rows.jsonl").write_text(jsonl(rows))
    (folder / "short.jsonl").write_text(
        jsonl([{"prompt": t, "solution": t, "own": {"x": [t]}} for t in ALL if len(t) < 60])
    )
    (folder / "texts.json").write_text(json.dumps(ALL))
    (folder / "mine.py").write_text(PLUGIN)
    with running_servers(1) as (server,):
        server.texts = list(ALL)
        recipe = RECIPE.replace("ROWS", str(folder / "rows.jsonl")).replace("URL", server.url)
        recipe = recipe.replace("SHORT", str(folder / "short.jsonl"))
        made = Run(folder, recipe, *SMALL, f"plugins.load=[{folder / 'mine.py'}]")
        status = made.carry_out()
    assert status == 0, [(p, p.read_text()) for p in made.stages.glob("*/log.txt")]
    return made


def test_what_servers_reply_is_in_the_rows_as_it_was(run: Run) -> None:
    file = run.stages / "samples" / "rollouts.parquet"
    rows = Dataset.from_parquet(str(file), cache_dir=str(run.folder / "cache"))
    assert sorted(rows["completion"][:]) == sorted(map(whole, ALL))
    assert sorted(set(rows["solution"][:])) == sorted(set(map(whole, ALL)))


def test_what_rewards_log_is_in_the_files_as_it_was(run: Run) -> None:
    rows = read_rows(run.stages / "rl" / "completions.jsonl")
    (name,) = [column for column in rows[0] if column.startswith("a | <b>")]
    assert name == "a | <b>\ufffd\x1b[31m"
    assert len(rows) == 32 and {row[name] for row in rows} <= {*map(whole, ALL)}
    metrics = read_rows(run.stages / "rl" / "metrics.jsonl")
    assert [row["step"] for row in metrics][:2] == [1, 2]
    scoring = json.loads((run.stages / "rl" / "scoring.json").read_text())
    assert "\x1b]0;owned\x07\ufffd" in scoring["picky"]["failed"][0]["message"]


def test_nothing_that_acts_is_in_a_log_of_r1trls(run: Run) -> None:
    for log in run.stages.glob("*/log.txt"):
        lines = log.read_text().split("\n")
        own = [line for line in lines if "said by a plugin" not in line]
        assert not ACTING.search(OF_LIBRARIES.sub("", "\n".join(own)).replace("\r", "")), log


def test_reports_and_rescoring_show_them_as_they_are(
    run: Run, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = run.folder / "run"
    for words in (["report", str(folder)], ["rescore", str(folder / "stages" / "samples")]):
        monkeypatch.setattr(sys, "argv", ["r1trl", *words])
        assert cli.main() == 0
        out, error = capsys.readouterr()
        said = [line for line in out.split("\n") if "said by a plugin" not in line]
        assert not ACTING.search("\n".join(said)) and not ACTING.search(error)
    html = (folder / "report.html").read_text()
    own = html[html.index('id="overview"') : html.index(bundle())]  # what is from the run
    assert not re.search("<(?!/?script)", own) and not ACTING.search(own)
    assert len(re.findall("<script[^>]* data-block=", own)) + 2 == own.count("</script>")
    assert not ACTING.search((folder / "report.md").read_text())
    again = Dataset.from_parquet(
        str(folder / "stages/samples/rescored.parquet"), cache_dir=str(run.folder / "cache")
    )
    assert again["rescored/reward"][:] == again["reward"][:]


def test_wandb_has_its_tables(run: Run) -> None:
    tables = list(Path(run.stages / "rl").glob("wandb/offline*/files/media/table/**/*.table.json"))
    assert len(tables) == 2
    rows = [row for file in tables for row in json.loads(file.read_text())["data"]]
    assert {cell for row in rows for cell in row} & {*map(whole, ALL)}
