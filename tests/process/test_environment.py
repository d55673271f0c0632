"""Values of the environment are used, and written as references; secrets are found and masked."""

import copy
import json
import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf

from r1trl.config.checked import Composed
from r1trl.errors import ConfigError
from r1trl.plan.plan import make_plan
from r1trl.plan.saved import read_plan, write_settings
from r1trl.process.environment import (
    OWN,
    FromEnvironment,
    hide,
    masked,
    resolved,
    secrets_kept,
    unset,
    values_of,
)
from r1trl.process.terminal import say
from r1trl.run.worker import run_stage
from r1trl.stage.files import StageSpec, read_spec, write_spec
from r1trl.storage.writing import append_text, write_text

SECRET = "hf_AbCdEf0123456789xyz"
WORD = "correct-horse-battery"


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Set a secret's variable, one with another name, and a folder's; remove r1trl's own."""
    monkeypatch.setenv("MY_TOKEN", SECRET)
    monkeypatch.setenv("PLACE", str(tmp_path / "place"))
    monkeypatch.setenv("OTHER", WORD)
    yield
    for name in [name for name in os.environ if name.startswith(OWN)]:
        del os.environ[name]


def test_texts_from_the_environment_are_marked_through_chains_and_in_the_middle(
    tmp_path: Path,
) -> None:
    config = OmegaConf.create(
        {
            "token": "${oc.env:MY_TOKEN}",
            "chain": "${token}",
            "url": "http://${oc.env:OTHER}@host/${oc.env:PLACE}",
            "list": ["${url}", "plain"],
            "node": {"a": "${oc.env:NO_SUCH,fallback}"},
            "copy": "${node}",
            "chosen": "${node.${oc.env:KEY}}",
            "number": "${oc.decode:${oc.env:NUMBER}}",
        }
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KEY", "a")
        patch.setenv("NUMBER", "4")
        values = values_of(config)
    place = str(tmp_path / "place")
    assert values["token"] == values["chain"] == SECRET
    assert values["url"] == values["list"][0] == f"http://{WORD}@host/{place}"
    assert values["node"] == values["copy"] == {"a": "fallback"}
    assert values["chosen"] == "fallback" and values["number"] == 4
    written = masked(values)
    assert written["token"] == written["chain"] == "${oc.env:MY_TOKEN}"
    assert written["url"] == "http://${oc.env:OTHER}@host/${oc.env:PLACE}"
    assert written["list"] == [written["url"], "plain"] and written["node"] == {"a": "fallback"}
    assert type(written["token"]) is str and resolved(written) == values


def test_a_pickle_has_the_reference_and_a_copy_the_value() -> None:
    value = resolved({"hub_token": "${oc.env:MY_TOKEN}"})
    assert SECRET.encode() not in pickle.dumps(value)
    for other in (pickle.loads(pickle.dumps(value)), copy.deepcopy(value)):
        assert other == {"hub_token": SECRET} and masked(other) == masked(value)


def test_what_is_written_or_printed_has_no_secret(tmp_path: Path, capsys: Any) -> None:
    text = f"401 for {SECRET} at http://x\n"
    write_text(tmp_path / "a", text)
    append_text(tmp_path / "b", text)
    say(text)
    said = capsys.readouterr().out
    for shown in ((tmp_path / "a").read_text(), (tmp_path / "b").read_text(), said):
        assert SECRET not in shown and "401 for ${oc.env:MY_TOKEN} at" in shown


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("hub_token", "hf_typedTypedTyped"),
        ("api_key", "abcdefgh12"),
        ("password", "abcdefgh12"),
        ("WANDB_API_KEY", "0" * 40),
        ("api_key_env", "sk-proj-abcdefgh"),  # it takes a variable's name
        ("anything", "ghp_abcdefghijkl"),
        ("url", "https://me:hunter22@host/v1"),
    ],
)
def test_a_secret_that_is_typed_is_masked_and_another_way_advised(key: str, value: str) -> None:
    notes: list[str] = []
    kept = secrets_kept({"stages": {"x": {key: value}}}, notes)
    assert kept == {"stages": {"x": {key: value}}}
    written = masked(kept)["stages"]["x"][key]
    assert written.startswith("${oc.env:R1TRL_SECRET_") and hide(f"a {value} b") == f"a {written} b"
    assert notes[0].startswith(f"stages.x.{key}: a secret") and value not in notes[0]
    assert "${oc.env:" in notes[0]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("eos_token", "endoftext_"),
        ("pad_token", "<|fim_pad|>"),
        ("token", "</think>"),
        ("api_key_env", "OPENAI_API_KEY"),
        ("key", "solution"),
        ("max_tokens", "unlimited"),
        ("path", "/data/tokens"),
        ("token", None),
    ],
)
def test_what_is_no_secret_stays(key: str, value: Any) -> None:
    notes: list[str] = []
    assert masked(secrets_kept({key: value}, notes)) == {key: value} and not notes


def test_a_secret_from_a_variable_of_any_name_is_masked_in_texts_too() -> None:
    notes: list[str] = []
    value = secrets_kept(resolved({"hub_token": "${oc.env:OTHER}"}), notes)
    assert masked(value) == {"hub_token": "${oc.env:OTHER}"} and not notes
    assert WORD not in hide(f"it was {WORD}")


def test_a_stage_has_the_values_and_its_file_the_references(tmp_path: Path) -> None:
    settings = resolved({"args": {"hub_token": "${oc.env:MY_TOKEN}"}, "a": ["${oc.env:PLACE}/x"]})
    write_spec(tmp_path, StageSpec("s", "sft", "r", 1, settings))
    text = (tmp_path / "stage.yaml").read_text()
    assert SECRET not in text and str(tmp_path / "place") not in text
    written = yaml.safe_load(text)["settings"]
    assert written == {"args": {"hub_token": "${oc.env:MY_TOKEN}"}, "a": ["${oc.env:PLACE}/x"]}
    spec = read_spec(tmp_path)
    assert spec is not None and spec.settings == settings
    assert isinstance(spec.settings["args"]["hub_token"], FromEnvironment)


def test_a_value_that_is_another_now_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = resolved({"path": "${oc.env:PLACE}/rows"})
    write_spec(tmp_path, StageSpec("s", "sft", "r", 1, settings))
    monkeypatch.setenv("PLACE", "/elsewhere")
    spec = read_spec(tmp_path)
    assert spec is not None and json.dumps(spec.settings) != json.dumps(settings)


def test_a_worker_without_the_variable_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    settings = resolved({"args": {"hub_token": "${oc.env:MY_TOKEN}"}})
    write_spec(tmp_path, StageSpec("s", "sft", "r", 1, settings))
    monkeypatch.delenv("MY_TOKEN")
    assert list(unset({"a": ["${oc.env:MY_TOKEN}"]})) == [
        "a.0: the environment variable MY_TOKEN is not set here"
    ]
    assert run_stage(tmp_path) == 1
    said = "error: stages.s.args.hub_token: the environment variable MY_TOKEN is not set here"
    assert said in capsys.readouterr().err


RUN = ("recipe=zero", "scale=tiny", "~stages.zero", "~stages.scoreboard")


def test_a_composed_run_has_values_and_its_files_references(
    composed: Callable[..., Composed], tmp_path: Path
) -> None:
    typed = "hf_typedTypedTyped0123"
    run = composed(
        *RUN,
        f"runs_dir={tmp_path}",
        "stages.zero_first.args.hub_token=${oc.env:MY_TOKEN}",
        f"+launch.environment={{HF_TOKEN: {typed}}}",
    )
    stage = run.config.stages["zero_first"]
    assert stage.args["hub_token"] == SECRET
    assert run.config.launch.environment == {"HF_TOKEN": typed}
    assert any(note.startswith("launch.environment.HF_TOKEN: a secret") for note in run.notes)
    plan = make_plan(run)
    write_settings(plan, tmp_path / "preflight")
    write_text(tmp_path / "config.yaml", run.text)
    write_spec(plan.stages[0].folder, plan.stages[0].spec)
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert len(files) == 3
    for file in files:
        assert SECRET not in file.read_text() and typed not in file.read_text(), file
    again = read_plan(tmp_path / "preflight").config
    assert again == run.config


def test_an_error_about_a_value_does_not_show_a_secret(
    composed: Callable[..., Composed], capsys: Any
) -> None:
    with pytest.raises(ConfigError) as caught:
        composed(*RUN, "stages.zero_first.sampling.n=${oc.env:MY_TOKEN}")
    say(caught.value)
    said = capsys.readouterr().out
    assert "stages.zero_first.sampling.n: value '${oc.env:MY_TOKEN}' of type 'str'" in said


def test_a_typed_secret_that_a_variable_has_is_referred_to_by_it() -> None:
    kept = secrets_kept({"hub_token": SECRET}, [])
    assert masked(kept) == {"hub_token": "${oc.env:MY_TOKEN}"}
