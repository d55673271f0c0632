"""The rows of SFT stages as TRL feeds them to the model, seen before any training.

The stage's own kind builds its trainer on a shrunk model with the first rows; it is not trained.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1trl.chat.lengths import Lengths
from r1trl.chat.samples import IGNORED, Sample, pieces
from r1trl.errors import R1trlError, errors_named
from r1trl.plan.plan import Plan, PlannedStage
from r1trl.rehearsal.shrink import shrink
from r1trl.rehearsal.small import small_stage
from r1trl.run.transitions import StageTransitions
from r1trl.run.work import StageWork
from r1trl.run.worker import parse_stage
from r1trl.stage.inputs import references_of
from r1trl.tracking.tracking import Tracking
from r1trl.trust.answer_formats import ALL_FORMATS, golds_of
from r1trl.trust.gold_checks import Finding
from r1trl.trust.renderings import root_model, rows_of_source

if TYPE_CHECKING:
    from datasets import Dataset

SFT = "SFTConfig"  # the config of TRL's trainer on given rows; kinds that have it are looked at
LOOKED_AT = 512  # first rows of a source that are written and counted
UNPACKED = {"packing": False, "padding_free": False, "shuffle_dataset": False}


@dataclass(frozen=True)
class ShownRow:
    """A row of a source as text: pieces, each with whether the loss is on it."""

    key: str
    pieces: list[tuple[str, bool]]
    made_up: bool = False


@dataclass
class TrainerOnly(StageWork):
    """The work of a stage that ends when its trainer is made; `given` are the stage's rows."""

    given: Any = None
    trainer: Any = None

    def rows(self, sources: Mapping[str, Any] | None = None) -> "Dataset":
        """Return the rows that were given."""
        rows: Dataset = self.given
        return rows

    def train(self, trainer: Any) -> dict[str, float]:
        """Keep the trainer."""
        self.trainer = trainer
        return {}


def training_rows(plan: Plan, folder: Path) -> tuple[list[ShownRow], list[Finding]]:
    """Return a row of each source of the SFT stages, and what is wrong with how rows end.

    `folder` is for shrunk models. A source that an earlier stage has still to make has a made-up
    row in its form.
    """
    rows, findings = list[ShownRow](), list[Finding]()
    for planned in plan.stages:
        if planned.kind.trl_config != SFT:
            continue
        for source, entry in planned.spec.settings["data"].items():
            key = f"stages.{planned.spec.stage}.data.{source}"
            try:
                first = _first_rows(plan, planned, source, entry)
                if first is None:
                    findings.append(Finding(f"{key}: an earlier stage has to make it", wrong=False))
                    continue
                with errors_named(key):
                    row, wrong = _look(plan, planned, first, key, folder)
            except R1trlError as error:
                findings.append(Finding(str(error)))
                continue
            made = any(str(entry["path"]).startswith(f"{s.folder}/") for s in plan.stages)
            rows.append(replace(row, made_up=made))
            findings += wrong
    return rows, findings


def _first_rows(
    plan: Plan, planned: PlannedStage, source: str, entry: Mapping[str, Any]
) -> "Dataset | None":
    """Return the first rows of a source, unfiltered.

    One is made up in the form of a `sample` stage's rows if they are not there yet.
    """
    from datasets import Dataset

    take = min(entry["take"] or LOOKED_AT, LOOKED_AT)
    first = {**entry, "take": take, "filters": {}, "sample_rows": None}
    rows = rows_of_source(plan, planned, {source: first}, "data", {})
    if rows is not None:
        return rows.select(range(min(take, len(rows))))
    path = str(entry["path"])
    maker = next((s for s in plan.stages if path.startswith(f"{s.folder}/")), None)
    if maker is None or maker.kind.draws != "rows" or entry["columns"]:
        return None
    for name, own in maker.spec.settings["data"].items():
        found = rows_of_source(plan, maker, {name: {**own, "take": 1, "filters": {}}}, "data", {})
        if found is not None and "solution" in found.column_names:
            gold, prompt = golds_of(found)[0], found["prompt"][0]
            text = prompt if isinstance(prompt, str) else prompt[-1]["content"]
            row = {"prompt": prompt, "completion": ALL_FORMATS[0].fill(gold, text)}
            return Dataset.from_list([row])
    return None


def _look(
    plan: Plan, planned: PlannedStage, rows: "Dataset", key: str, folder: Path
) -> tuple[ShownRow, list[Finding]]:
    """Return a row as the stage's trainer has it, whether it ends as generation does, and cuts."""
    trainer = _trainer(plan, planned, rows, folder)
    findings = _cuts(key, folder)
    if not len(trainer.train_dataset):
        return ShownRow(key, []), [Finding(f"{key}: nothing of its first rows is in the loss")]
    row, tokenizer = trainer.train_dataset[0], trainer.processing_class
    sample = Sample(row["input_ids"], row["labels"])
    shown = ShownRow(key, list(pieces(sample, tokenizer)))
    learned = [label for label in sample.labels if label != IGNORED]
    cut = len(sample.labels) >= (trainer.args.max_length or len(sample.labels) + 1)
    if cut or _ends(trainer) & set(learned):
        return shown, findings
    special = [token for token in learned if token in tokenizer.all_special_ids]
    end = tokenizer.decode(special[-1:] or learned[-1:])
    setting = f"set stages.{planned.spec.stage}.args.eos_token={end!r}"
    mend = setting if special else "end the template's turns with it"
    text = (
        f"{key}: the model learns to end a turn with {end!r}, and generation stops at "
        f"{tokenizer.eos_token!r}, which is not in the loss; {mend}"
    )
    return shown, [*findings, Finding(text, wrong=_is_sampled(plan, planned.spec.stage))]


def _ends(trainer: Any) -> set[int]:
    """Return the ids of the tokens at which generation stops."""
    given = getattr(getattr(trainer.model, "generation_config", None), "eos_token_id", None)
    return {trainer.processing_class.eos_token_id, *(given if isinstance(given, list) else [given])}


def _cuts(key: str, folder: Path) -> list[Finding]:
    """Return what `max_length` does to the first rows of a source, if it cuts any of them."""
    file = folder / "data" / "lengths.json"
    if not file.exists():
        return []  # a kind of somebody's own, which does not count them
    lengths = Lengths(**json.loads(file.read_text(encoding="utf-8")))
    told = [Finding(f"{key}: of its first rows, {lengths}", wrong=False)]
    return told if lengths.share or lengths.split else []


def _trainer(plan: Plan, planned: PlannedStage, rows: "Dataset", folder: Path) -> Any:
    """Return the trainer that the stage's kind makes, on a shrunk model."""
    root = root_model(plan.config, str(planned.config.model))
    model = folder / "models" / "".join(c if c.isalnum() else "-" for c in root)
    if not model.exists():
        shrink(root, model, plan.config.seed)
    longest = planned.config.args.get("max_length")
    settings = small_stage(asdict(planned.config), planned.kind)
    settings |= {"model": str(model), "benchmarks": {}, "launch": None}
    if longest is not None:
        settings["args"]["max_length"] = longest
    settings["args"] |= {n: v for n, v in UNPACKED.items() if n in settings["args"]}
    stage = planned.config
    filtered = stage.filters or any(source.filters for source in stage.data.values())
    if hasattr(stage, "max_truncated_rate") and len(rows) < LOOKED_AT and not filtered:
        settings["max_truncated_rate"] = stage.max_truncated_rate  # these are all rows there are
    spec = replace(planned.spec, settings=settings)
    work = TrainerOnly(
        parse_stage(spec, plan.plugins),
        spec.stage,
        planned.kind,
        folder,
        spec.seed,
        spec.own_seed,
        plan.plugins,
        Tracking(),
        StageTransitions({}),
        given=rows,
    )
    planned.kind.run(work)
    return work.trainer


def _is_sampled(plan: Plan, name: str) -> bool:
    """Return True if a later stage generates with the model that a stage makes."""
    return any(
        reference.stage == name and reference.file is None
        for planned in plan.stages
        if planned.kind.draws != "nothing"
        for reference in references_of(planned.config)
    )
