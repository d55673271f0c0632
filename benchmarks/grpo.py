r"""What does a GRPO step cost in r1trl and in bare TRL? Whole steps, the same work, in turn.

Both get the same model, rows, seed, reward and TRL arguments; every run is a process of its own,
one system after the other, seed by seed. Prints a table and writes results/grpo-WORLD.json; see
README.md.

    python benchmarks/grpo.py                                        # the tiny world
    python benchmarks/grpo.py --world varied --model models/smollm2  # answers of 20 to 256 tokens
    python benchmarks/grpo.py --world long --model models/smollm2    # long prompts, groups of 16
    python benchmarks/grpo.py --world 16k --model Qwen3-0.6B --dtype bfloat16   # on a GPU
    python benchmarks/grpo.py --quick                                # does it run?

A model is a folder, or a shape with random weights (see shapes.py). With `--replay`, and in the
world 16k, completions are not drawn: both systems get the same random ones, of very different
lengths, which leaves what training on them costs.
"""

import argparse
import json
import random
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from children import child, in_turn, peak
from clock import Clock
from machine import machine
from shapes import SHAPES, made, share_of_peak

HERE = Path(__file__).parent
PACKAGES = ("r1trl", "trl", "transformers", "torch")
SYSTEMS = ("trl", "r1trl")
WARM = 1  # steps that are not counted
EXAMPLE = HERE.parent / "examples" / "smollm2_gym"
SHARED = (
    "stages.zero_first.rewards={accuracy: null, think_format: null, right: {}}",
    f"plugins.load=[{HERE / 'right.py'}]",
    "stages.zero_first.args.save_strategy=no",
    "stages.zero_first.transitions={equal_rewards: null, entropy_collapse: null}",
    "~stages.zero",
    "~stages.scoreboard",
)
SHOWN = "\n".join(f"Calculate {a} + {b}. Answer: {a + b}." for a in range(2, 9) for b in (3, 7))
CHAT = "<|im_start|>user\n{{ prompt }} Explain.<|im_end|>\n<|im_start|>assistant\n"
MODEL_WORLD = (
    *("recipe=smollm2_gym", "scale=smollm2_gym", "scale.rl.outputs=16", "scale.rl.micro_batch=8"),
    "stages.zero_first.rewards.reasoning_gym=null",
)
WORLDS: dict[str, tuple[str, ...]] = {
    "tiny": (
        *("recipe=zero", "scale=tiny", "scale.rl.outputs=128", "scale.rl.minibatches=1"),
        *("scale.rl.micro_batch=128", "scale.zero.first_tokens=96"),
    ),
    "varied": (
        *MODEL_WORLD,
        *("scale.rl.group=8", "scale.zero.first_tokens=256"),
        f"template.zero='{CHAT}'",
    ),
    "long": (
        *MODEL_WORLD,
        *("scale.rl.group=16", "scale.zero.first_tokens=64"),
        f"template.zero='{SHOWN}\n{{{{ prompt }}}} Answer:'",
    ),
    "16k": (
        *MODEL_WORLD,
        *("scale.rl.group=8", "scale.rl.micro_batch=2", "scale.zero.first_tokens=16384"),
        "scale.rl.gradient_checkpointing=true",
    ),
}
STEPS = {"tiny": 40, "varied": 3, "long": 3, "16k": 3}
REPLAYED = ("16k",)


@dataclass(frozen=True)
class Job:
    """What one process measures; `more` are Hydra overrides."""

    system: str
    world: str
    seed: int
    steps: int
    model: str = ""
    dtype: str = "float32"
    replay: bool = False
    more: Sequence[str] = ()


def training(job: Job, folder: Path) -> Any:
    """Return the stage that is trained, as r1trl lays it out."""
    from r1trl.config.compose import compose
    from r1trl.data.rows import rows_of
    from r1trl.generation.local import load_tokenizer
    from r1trl.plan.plan import make_plan
    from r1trl.plugins.loading import load
    from r1trl.training.arguments import Training
    from r1trl.training.tracking import Tracker

    path = made(job.model, folder / "model") if job.model else ""
    own = [f"model.path={path}", f"model.dtype={job.dtype}"] if path else []
    sizes = [f"scale.zero.first_steps={job.steps}", f"runs_dir={folder}", f"seed={job.seed}"]
    overrides = [*SHARED, *WORLDS[job.world], *own, *sizes, "name=b", *job.more]
    config, _ = compose(overrides, EXAMPLE if "recipe=smollm2_gym" in overrides else None)
    planned = make_plan(config).stages[0]
    work = planned.work
    plugins = load(work.plugins["load"], work.plugins["block"])
    rows = rows_of(work, work.settings["data"], planned.folder, plugins)
    tokenizer, tracker = load_tokenizer(work.settings["model"]), Tracker(work, folder, main=False)
    return Training(work, planned.folder, rows, tokenizer, plugins, tracker, {})


def bare(stage: Any) -> Any:
    """Return TRL's own trainer with the arguments that r1trl would give it."""
    import trl
    from right import right

    from r1trl.data.prompts import render
    from r1trl.training.arguments import rollout_args, trl_config

    settings = stage.work.settings
    return trl.GRPOTrainer(
        model=settings["model"],
        args=trl_config(stage, reward_weights=[1.0], **rollout_args(stage)),
        train_dataset=render(stage.rows, stage.tokenizer, settings["template"], ""),
        processing_class=stage.tokenizer,
        reward_funcs=[right],
    )


def replayed(trainer: Any, seed: int) -> Any:
    """Return a function in the place of generation: random ids, lengths spread over a factor 16."""
    source, most = random.Random(seed), trainer.max_completion_length

    def replay(prompt_ids: Any, *_: Any) -> Any:
        sizes = [int(most * 16 ** -source.random()) for _ in prompt_ids]
        end = trainer.processing_class.eos_token_id
        return [[*source.choices(range(3, 600), k=n - 1), end] for n in sizes], None

    return replay


def one(job: Job) -> dict[str, Any]:
    """Train with one system; return the seconds of every step and of its phases."""
    from r1trl.training.trainers import make_rl

    with tempfile.TemporaryDirectory() as folder:
        stage = training(job, Path(folder))
        trainer = bare(stage) if job.system == "trl" else make_rl(stage)
        if job.replay or job.world in REPLAYED:
            trainer._generate_single_turn = replayed(trainer, job.seed)
        clock = Clock(trainer)
        trainer.train()
        if job.system == "r1trl":
            trainer.scorer.close()
    log = [row for row in trainer.state.log_history if "reward" in row]
    lengths = [row["completions/mean_length"] for row in log]
    drawn = statistics.fmean(lengths[WARM:]) * trainer.args.generation_batch_size
    trained = statistics.fmean(clock.steps[WARM:]) - statistics.fmean(
        clock.phases["generation"][WARM:]
    )
    return {
        "seed": job.seed,
        "steps": clock.steps,
        "phases": {name: found[WARM:] for name, found in clock.phases.items()},
        "reward": [round(row["reward"], 4) for row in log],
        "tokens": lengths,
        "rate": drawn / trained,
        "peak": share_of_peak(trainer.model, drawn / trained, statistics.fmean(lengths)),
        "mib": peak(),
    }


def compared(of: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """Return the ratio of the systems' step times, pair by pair and in all, and of each phase."""
    pairs = [
        statistics.fmean(ours["steps"][WARM:]) / statistics.fmean(theirs["steps"][WARM:])
        for theirs, ours in zip(of["trl"], of["r1trl"], strict=True)
    ]
    table = {}
    for name, mine in of.items():
        steps = [seconds for run in mine for seconds in run["steps"][WARM:]]
        phases = {
            phase: statistics.fmean([s for run in mine for s in run["phases"][phase]])
            for phase in mine[0]["phases"]
        }
        table[name] = {
            "step": statistics.fmean(steps),
            "median": statistics.median(steps),
            **phases,
            "tokens": statistics.fmean([t for run in mine for t in run["tokens"][WARM:]]),
            "trained tokens/s": statistics.fmean(run["rate"] for run in mine),
            "share of peak": statistics.fmean(run["peak"] or 0.0 for run in mine),
            "mib": statistics.median(run["mib"] for run in mine),
        }
    return {"ratio": statistics.median(pairs), "pairs": pairs, "systems": table}


def show(found: Mapping[str, Any]) -> str:
    """Return the comparison as Markdown."""
    table = found["systems"]
    lines = ["| | TRL | r1trl | ratio |", "|---|---:|---:|---:|"]
    for name in table["trl"]:
        theirs, ours = table["trl"][name], table["r1trl"][name]
        if name == "share of peak" and not ours:
            continue  # the peak is not known
        ratio = f"{ours / theirs:.2f}" if theirs > 1e-3 else ""
        lines.append(f"| {name} | {theirs:,.3f} | {ours:,.3f} | {ratio} |")
    pairs = ", ".join(f"{pair:.2f}" for pair in found["pairs"])
    return "\n".join([*lines, f"\nratio of step times: {found['ratio']:.3f} (by seed: {pairs})"])


def main() -> None:
    """Run both systems in turn and compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--world", choices=WORLDS, default="tiny")
    parser.add_argument("--model", default="", help=f"a folder, or one of {', '.join(SHAPES)}")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--replay", action="store_true", help="draw nothing: train on random ids")
    parser.add_argument("--set", nargs="*", default=(), help="Hydra overrides for both systems")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--quick", action="store_true", help="one seed, three steps")
    parser.add_argument("--out", type=Path, help="where the JSON goes")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    steps = 3 if given.quick else given.steps or STEPS[given.world]
    if given.one:
        given.out.write_text(json.dumps(one(Job(**json.loads(given.one)))))
        return

    def measured(system: str, seed: int) -> Any:
        options = (given.model, given.dtype, given.replay, given.set)
        job = Job(system, given.world, seed, steps, *options)
        run = child(__file__, json.dumps(asdict(job)))
        print(f"{system} {seed}: {statistics.fmean(run['steps'][WARM:]):.2f} s a step", flush=True)
        return run

    about = machine(PACKAGES)
    runs = in_turn(SYSTEMS, 1 if given.quick else given.seeds, measured)
    found = compared(runs)
    print(show(found))
    out = given.out or HERE / "results" / f"grpo-{given.world}.json"
    content = {
        "machine": about,
        "world": given.world,
        "model": Path(given.model).name,
        **found,
        "runs": runs,
    }
    out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
