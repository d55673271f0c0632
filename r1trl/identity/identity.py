"""The identity of a stage's result: all that went into it, by digests.

`settings` is the digest of the stage's settings but LEFT_OUT, `inputs` has what it reads by the
keys that name it, an earlier stage's output by that stage's identity, and `plugins` the source of
the packages that it uses. Versions of other packages and the launch are told, and no part of it.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from r1trl.config.keys import entry, path_in
from r1trl.config.schema import StageConfig
from r1trl.errors import ConfigError, R1trlError
from r1trl.identity.inputs import UNKNOWN, inputs_identity, inputs_of
from r1trl.identity.sources import Sources
from r1trl.process.environment import hide
from r1trl.stage.files import NOTHING, StageSpec, changed_values
from r1trl.storage.digests import Digests, digest_of

# Settings that change no result: how and where it is computed, what is shown, which checkpoints
# are kept. Changed, a finished stage stays finished, and a half done one continues.
LEFT_OUT = (
    "launch",
    "checkpoints",
    "args.save_total_limit",
    "args.disable_tqdm",
    "args.hub_token",
    "args.dataset_num_proc",
    "args.dataloader_num_workers",
    "scoring.processes",
    "scoring.patience",
)
# Of serve: where servers run, and how they are started.
OF_SERVE = ("tensor_parallel", "replicas", "gpus", "nodes", "command", "ready", "restarts")
OF_VARIED_ROWS = ("variants", "varied")  # of a source; without variants, neither
OF_SERVERS = ("urls", "concurrency", "timeout", "patience", "api_key_env")  # of endpoints
SHOWN = 12  # digits of a digest
LONGEST = 200  # characters of a value


def identity_of(
    spec: StageSpec,
    stage: StageConfig,
    stages: Mapping[str, str],
    digests: Digests,
    sources: Sources,
) -> dict[str, Any]:
    """Return the identity that the result of a stage would have.

    `stage` has its references as they are written, `spec` as paths; `stages` are the digests of the
    identities of earlier stages. Raises ConfigError if a file cannot be read.
    """
    try:
        inputs = inputs_identity(inputs_of(stage, spec.settings), stages, digests)
    except R1trlError as error:
        raise ConfigError([f"stages.{spec.stage}: {error}"]) from error
    return {
        "settings": digest_of(compared_settings(spec, inputs)),
        "inputs": inputs,
        "plugins": sources.of(spec.kind, spec.settings),
    }


def compared_settings(spec: StageSpec, inputs: Iterable[str]) -> dict[str, Any]:
    """Return the settings that are part of an identity; `inputs` are the keys of what is read."""
    settings = _copy(spec.settings)
    left_out = [*LEFT_OUT, *(f"endpoints.{name}" for name in OF_SERVERS)]
    for model in settings.get("models") or {}:
        left_out += [f"models.{model}.endpoints.{name}" for name in OF_SERVERS]
    served = settings.get("serve") or {}
    left_out += [f"serve.{name}.{key}" for name in served for key in OF_SERVE]
    left_out += [] if served else ["serve"]
    left_out += [] if (settings.get("evaluate") or {}).get("every") else ["evaluate"]
    for key in [*left_out, *inputs]:
        _drop(settings, key)
    return {"stage": spec.stage, "kind": spec.kind, "seed": spec.seed, **settings}


def _drop(settings: Any, key: str) -> None:
    """Remove a setting, if it is there; in a list, where others keep their places, its value."""
    *parents, last = path_in(settings, key)
    for part in parents:
        settings = entry(settings, part)
    if isinstance(settings, dict):
        settings.pop(last, None)
    elif isinstance(settings, list) and entry(settings, last) is not None:
        settings[int(last)] = None


def _copy(value: Any) -> Any:
    """Return a copy of nested settings, without secrets: another token changes no result."""
    if isinstance(value, Mapping):
        plain = OF_VARIED_ROWS if "dataset" in value and not value.get("variants") else ()
        return {str(key): _copy(each) for key, each in value.items() if key not in plain}
    if isinstance(value, str):
        return hide(value)
    return [_copy(each) for each in value] if isinstance(value, list | tuple) else value


def is_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return True if two identities are equal; a commit that is not known may be any."""
    return not list(_changes(one, other)) and one.get("settings") == other.get("settings")


def differences(old: StageSpec, accepted: Mapping[str, Any], new: StageSpec) -> list[str]:
    """Return in what an identity differs from the one accepted for what is there, with its keys.

    `old` is the stage as it was, `new` as it would be, with its identity.
    """
    at, lines = f"stages.{new.stage}", []
    if accepted.get("settings") != new.identity["settings"]:
        before = compared_settings(old, accepted.get("inputs", {}))
        after = compared_settings(new, new.identity["inputs"])
        for key, was, now in changed_values(before, after):
            name = key if key == "seed" else f"{at}.{key}"
            lines.append(f"{name}: was {_short(was)}, would be {_short(now)}")
        lines = lines or [f"{at}: its settings are not those that it was made with"]
    for group, key, was, now in _changes(accepted, new.identity):
        if lines and group == "plugins" and NOTHING in (was, now):
            continue  # it has come or gone with a setting
        name = f"{at}.{key}" if group == "inputs" else f"{at}: plugin {key}"
        lines.append(f"{name}: was {_digest(was)}, would be {_digest(now)}")
    return lines


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """Yield the group, key and values of the inputs and plugins that differ."""
    for group in ("inputs", "plugins"):
        for key, was, now in changed_values(_flat(old, group), _flat(new, group)):
            if not _may_be_same(was, now):
                yield group, key, was, now


def _flat(identity: Mapping[str, Any], group: str) -> dict[str, str]:
    values = identity.get(group)
    return {str(k): str(v) for k, v in values.items()} if isinstance(values, Mapping) else {}


def _may_be_same(was: str, now: str) -> bool:
    """Return True for a name on the Hub whose commit was not known, or is not."""
    (one, _, commit), (other, _, later) = was.rpartition("@"), now.rpartition("@")
    return one == other and UNKNOWN in (commit, later)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _digest(value: str) -> str:
    """Return a digest in a few digits, after the name that it is of."""
    name, _, digest = value.rpartition("@")
    digest = digest if " " in digest else digest[:SHOWN]
    return f"{name} ({digest})" if name else digest
