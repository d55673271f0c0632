"""Models that are not there, or not whole, named from the files of a folder alone."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from huggingface_hub import constants

from r1trl.errors import StageError
from r1trl.models.folder import model_problem
from r1trl.models.hub import refuse_unreachable, unreachable

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
INDEX = '{"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "gone.safetensors"}}'


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a folder of models the current folder."""
    monkeypatch.chdir(tmp_path)
    write("models/whole")


def write(folder: str, **changed: str | None) -> None:
    """Write a model's files; None leaves one out, other names stand for files with a dot."""
    files = {"config.json": "{}", "model.safetensors": "weights", "tokenizer.json": "{}"}
    files |= {name.replace("_DOT_", "."): text for name, text in changed.items() if text}
    for name in [name for name, text in changed.items() if text is None]:
        del files[name.replace("_DOT_", ".")]
    for name, text in files.items():
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.mark.parametrize("name", ["models/whole", "./models/whole", "gpt2", "Qwen/Qwen2.5-7B"])
def test_a_whole_model_and_a_hub_id_are_no_problem(name: str) -> None:
    assert model_problem(name) is None


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("models/whoel", "there is no folder models/whoel (did you mean 'models/whole'?); for"),
        ("models/else", "there is no folder models/else; for the Hub's model of that name, first"),
        ("models", "the folder models has no model weights (config.json and *.safetensors) (did"),
        ("./none", "there is no folder ./none"),
        ("/abs/none", "there is no folder /abs/none"),
        ("~/none", "there is no folder ~/none; write out what ~ stands for"),
        ("runs/a/stages/b/model", "there is no folder runs/a/stages/b/model"),
        ("two words", "there is no folder two words"),
        ("models\\whole", "there is no folder models\\whole (did you mean 'models/whole'?)"),
        ("models/whole/config.json", "models/whole/config.json is a file; give the folder with"),
    ],
)
def test_what_is_no_folder_and_no_hub_id_is_named(name: str, problem: str) -> None:
    assert (model_problem(name) or "").startswith(problem)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda: write("m", config_DOT_json=None), "has no model weights (config.json and *.safe"),
        (lambda: write("m", model_DOT_safetensors=None), "has no model weights (*.safetensors)"),
        (lambda: write("m", tokenizer_DOT_json=None), "has no tokenizer (tokenizer.json, "),
        (lambda: write("m", config_DOT_json="{"), "config.json is no JSON: "),
        (lambda: write("m", model_DOT_safetensors=POINTER), "is a pointer of Git LFS, not the w"),
        (
            lambda: write("m", model_DOT_safetensors_DOT_index_DOT_json=INDEX),
            "names gone.safetensors, which is not there",
        ),
        (
            lambda: write(
                "m",
                config_DOT_json=None,
                adapter_config_DOT_json='{"base_model_name_or_path": "Qwen/Q"}',
            ),
            ": it is an adapter of Qwen/Q; merge it with PEFT's merge_and_unload",
        ),
        (
            lambda: write("m", model_DOT_safetensors=None, q4_DOT_gguf="x"),
            ": GGUF files cannot be trained; give the model that they were made from",
        ),
    ],
)
def test_a_folder_without_a_whole_model_is_named(change: Callable[[], None], problem: str) -> None:
    change()
    assert problem in (model_problem("m") or "")


def test_a_name_that_is_neither_folder_nor_in_the_cache_is_told_at_once_when_offline() -> None:
    wrong = "there is no folder modles/whole (did you mean 'models/whole'?); it is not in the Hub's"
    with pytest.raises(StageError) as error:
        refuse_unreachable("modles/whole")
    assert str(error.value).startswith(wrong)
    refuse_unreachable("models/whole")


class Hub(BaseHTTPRequestHandler):
    """Answers every request for a file with the error that the repository is named after."""

    def do_HEAD(self) -> None:
        """Answer 200 for the repository a/there, else 404 with the Hub's name of the error."""
        name = self.path.split("/")[2]
        self.send_response(200 if name == "there" else 404)
        self.send_header("X-Error-Code", name)
        for header in ("ETag", "X-Repo-Commit"):
            self.send_header(header, "0" * 40)
        self.send_header("Content-Length", "2")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("a/there", None),
        ("a/RepoNotFound", "there is no folder a/RepoNotFound, and the Hub has no such model"),
        ("a/EntryNotFound", "a/EntryNotFound on the Hub has no config.json: it is no model of tra"),
        ("a/closed", "there is no folder a/closed; it is not in the Hub's cache, and the Hub cann"),
    ],
)
def test_what_the_hub_answers_is_told(
    model: str, reason: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    port = 9 if model == "a/closed" else server.server_address[1]  # nobody listens there
    url = f"http://127.0.0.1:{port}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url)
    try:
        told = unreachable(model)
    finally:
        server.shutdown()
        server.server_close()
    assert told is None if reason is None else (told or "").startswith(reason)
