"""Models by name: a folder, or a repository of the Hub; what is neither is found at once."""

import difflib
import functools
from pathlib import Path

from r1trl.errors import StageError, suggest
from r1trl.process.terminal import say

HUB_SECONDS = 10.0  # transformers itself would try for about a minute
CONFIG = "config.json"


def refuse_unreachable(model: str) -> None:
    """Raise StageError if a model is no folder, not in the Hub's cache, and not to be had there.

    Says that it will be loaded from the Hub, which may take long, if it is to be had there alone.
    """
    if Path(model).is_dir():
        return
    if problem := unreachable(model):
        raise StageError(problem)
    if not is_cached(model):
        say(f"{model} is loaded from the Hub")


@functools.cache
def unreachable(model: str) -> str | None:
    """Return why a model that is no folder cannot be loaded, with the folder that may be meant."""
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url
    from huggingface_hub import errors as hub

    neither = f"there is no folder {model}{close_folder(model)}"
    try:
        if is_cached(model):
            return None
        if constants.HF_HUB_OFFLINE:
            return f"{neither}; it is not in the Hub's cache either, and HF_HUB_OFFLINE is set"
        get_hf_file_metadata(hf_hub_url(model, CONFIG), timeout=HUB_SECONDS)
    except hub.HFValidationError:
        return f"{neither}, and it is no Hub id, such as Qwen/Qwen2.5-7B"
    except hub.GatedRepoError:
        return f"{model} is gated: ask for access on its page on the Hub, and set HF_TOKEN"
    except hub.RepositoryNotFoundError:
        return f"{neither}, and the Hub has no such model (of a private one: set HF_TOKEN)"
    except hub.EntryNotFoundError:
        return f"{model} on the Hub has no {CONFIG}: it is no model of transformers"
    except Exception as error:  # noqa: BLE001 - the Hub's HTTP library changes with its version
        failed = f"{type(error).__name__}: {error}".splitlines()[0]
        return f"{neither}; it is not in the Hub's cache, and the Hub cannot be reached ({failed})"
    return None


def is_cached(model: str) -> bool:
    """Return True if a model's config is in the Hub's cache; raise HFValidationError if no id."""
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(model, CONFIG), str)


def close_folder(model: str) -> str:
    """Return " (did you mean 'x'?)" with a model's folder near by, or nothing.

    Beside the folder that is missing only the names are compared: the rest is the same anyway.
    """
    beside = {Path(folder).name: folder for folder in model_folders(Path(model).parent)}
    if close := difflib.get_close_matches(Path(model).name, beside, n=1):
        return f" (did you mean '{beside[close[0]]}'?)"
    below = model_folders(Path()) | model_folders(Path(), f"*/*/{CONFIG}")
    return suggest(model, sorted(below - set(beside.values())))


def model_folders(folder: Path, pattern: str = f"*/{CONFIG}") -> set[str]:
    """Return the folders with a model in a folder, as they are written."""
    return {str(file.parent) for file in folder.glob(pattern)}
