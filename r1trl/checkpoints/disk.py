"""How much disk a stage needs at most: an estimate from the number of weights, for the plan."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from r1trl.config.schema import StageConfig
from r1trl.kind import Kind
from r1trl.models.hub import CONFIG
from r1trl.models.shape import shape_of

SIZES = {"float32": 4, "float64": 8}  # bytes of a weight, by its type; of others 2
MODEL = 4  # bytes of a weight in a model that is handed over: it is trained in float32
STATE = 16  # and beside it in a checkpoint: the optimizer's, and a sharded copy of the weights
ROWS = 16  # bytes of a token in rollouts: its text in a shard, and in rollouts.parquet


def weights_of(model: str) -> int | None:
    """Return the number of a model's weights by its shape, or the sizes of its files.

    None if neither is known.
    """
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    if shape := shape_of(model):
        return shape.parameters
    folder = Path(model)
    if not folder.is_dir():
        try:
            cached = try_to_load_from_cache(model, CONFIG)
        except HFValidationError:
            return None
        if not isinstance(cached, str):
            return None
        folder = Path(cached).parent
    total = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        dtype = config.get("dtype") or config.get("torch_dtype") or "float32"
    except (OSError, ValueError, AttributeError):
        return None
    return total // SIZES.get(str(dtype), 2) or None


def training_bytes(weights: int, args: Mapping[str, Any], kept: str) -> tuple[int, int]:
    """Return the most bytes of a training stage's folder, and those after it has finished.

    `args` are TRL's; `kept` says which checkpoints stay. One more than `save_total_limit` are there
    while the newest is saved.
    """
    reference = MODEL if args.get("sync_ref_model") else 0
    one = weights * (MODEL + STATE + reference)
    limit = args.get("save_total_limit") or _saved(args)
    at_once = 0 if args.get("save_strategy") == "no" else limit + 1
    stay = {"keep": limit, "last": 1}.get(kept, 0) if at_once else 0
    return weights * MODEL + one * at_once, weights * MODEL + one * stay


def _saved(args: Mapping[str, Any]) -> int:
    """Return how many checkpoints a training saves, as far as that is known."""
    steps, every = args.get("max_steps", -1), args.get("save_steps", 500)
    return -(-steps // int(every)) if steps > 0 and every >= 1 else 1


def drawn_bytes(stage: StageConfig, kind: Kind) -> int:
    """Return the most bytes of the rollouts of a stage whose numbers of rows are given."""
    sources = stage.benchmarks if "benchmarks" in kind.needs else stage.data
    rows = sum(source.sample_rows or source.take or 0 for source in sources.values())
    return rows * stage.sampling.n * stage.sampling.max_tokens * ROWS
