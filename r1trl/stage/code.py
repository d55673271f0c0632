"""What a stage's files let run: said before it runs, for the folder may be somebody else's."""

from collections.abc import Iterator
from pathlib import Path

from r1trl.stage.files import StageSpec


def code_of(spec: StageSpec, folder: Path) -> Iterator[str]:
    """Yield a sentence for each plugin that a stage.yaml loads, and for code of models."""
    key = f"stages.{spec.stage}"
    for name in spec.plugins.get("load") or ():
        where = str(name)
        if where.endswith(".py"):
            path = Path(where).expanduser().resolve()
            inside = path.is_relative_to(folder.resolve().parents[1])
            where = f"{path} ({'in' if inside else 'outside'} the run's folder)"
        yield f"{key}: its stage.yaml loads the plugin {where}, whose code runs"
    if (spec.settings.get("args") or {}).get("trust_remote_code"):
        model = spec.settings.get("model")
        yield f"{key}: args.trust_remote_code lets code of the model {model} run"
