r"""What does a GRPO step cost in r1trl and in bare TRL? Whole steps, the same work, in turn.

Both get the same model, rows, seed, reward and TRL arguments; every run is a process of its own,
one system after the other, seed by seed. Prints a table and writes results/grpo-WORLD.json; see
README.md.

    python benchmarks/grpo.py                                        # the tiny world
    python benchmarks/grpo.py --world varied --model models/smollm2  # answers of 20 to 256 tokens
    python benchmarks/grpo.py --world long --model models/smollm2    # long prompts, groups of 16
    python benchmarks/grpo.py --world 16k --model Qwen3-0.6B --dtype bfloat16   # on a GPU
    python benchmarks/grpo.py --quick                                # few steps

A model is a folder, or a shape with random weights (see shapes.py). With `--replay`, and in the
world 16k, completions are not generated: both systems get the same random ones, of very different
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
from shapes import SHAPES, model_path, share_of_peak
from stages import UntrainedWork, first_stage

HERE = Path(__file__).parent
PACKAGES = ("r1trl", "trl", "transformers", "torch")
SYSTEMS = ("trl", "r1trl")
WARM = 1  # steps that are not counted
EXAMPLE = HERE.parent / "examples" / "smollm2_gym"
SHARED = (
    "stages.zero_first.rewards={right: {}}",
    f"plugins.load=[{HERE / 'right.py'}]",
    "stages.zero_first.args.save_strategy=no",
    "stages.zero_first.transitions.equal_rewards=null",
    "stages.zero_first.transitions.entropy_collapse=null",
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


def laid_out(job: Job, folder: Path) -> UntrainedWork:
    """Return the work of the stage that is trained."""
    path = model_path(job.model, folder / "model") if job.model else ""
    model = [f"model.path={path}", f"model.dtype={job.dtype}"] if path else []
    sizes = [f"scale.zero.first_steps={job.steps}", f"runs_dir={folder}", f"seed={job.seed}"]
    overrides = [*SHARED, *WORLDS[job.world], *model, *sizes, "name=b", *job.more]
    return first_stage(overrides, EXAMPLE if "recipe=smollm2_gym" in overrides else None)


def bare(work: UntrainedWork) -> Any:
    """Return TRL's own trainer with the arguments that r1trl would give it."""
    import trl
    from right import right

    from r1trl.training.arguments import rollout_arguments

    fixed = {"reward_weights": [1.0], **rollout_arguments(work.stage, work.key)}
    return trl.GRPOTrainer(
        model=work.stage.model,
        args=work.arguments(trl.GRPOConfig, **fixed),
        train_dataset=work.rendered(work.rows()),
        processing_class=work.tokenizer(),
        reward_funcs=[right],
    )


def replayed(trainer: Any, seed: int) -> Any:
    """Return a substitute for generation: random ids, lengths spread over a factor of 16."""
    source, most = random.Random(seed), trainer.max_completion_length

    def replay(prompt_ids: Any, *_: Any) -> Any:
        sizes = [int(most * 16 ** -source.random()) for _ in prompt_ids]
        end = trainer.processing_class.eos_token_id
        return [[*source.choices(range(3, 600), k=n - 1), end] for n in sizes], None

    return replay


def one(job: Job) -> dict[str, Any]:
    """Train with one system; return the seconds of every step and of its phases."""
    with tempfile.TemporaryDirectory() as folder:
        work = laid_out(job, Path(folder))
        trainer: Any = bare(work) if job.system == "trl" else work.made()
        if job.replay or job.world in REPLAYED:
            trainer._generate_single_turn = replayed(trainer, job.seed)
        clock = Clock(trainer)
        trainer.train()
        if job.system == "r1trl":
            work.scorer.close()
    log = [row for row in trainer.state.log_history if "reward" in row]
    lengths = [row["completions/mean_length"] for row in log]
    generated = statistics.fmean(lengths[WARM:]) * trainer.args.generation_batch_size
    seconds = statistics.fmean(clock.steps[WARM:]) - statistics.fmean(
        clock.phases["generation"][WARM:]
    )
    return {
        "seed": job.seed,
        "steps": clock.steps,
        "phases": {name: seconds[WARM:] for name, seconds in clock.phases.items()},
        "reward": [round(row["reward"], 4) for row in log],
        "tokens": lengths,
        "rate": generated / seconds,
        "peak": share_of_peak(trainer.model, generated / seconds, statistics.fmean(lengths)),
        "mib": peak(),
        "sampling": {  # how far the probabilities of vLLM are from those that are trained
            name: [row[name] for row in log] for name in log[0] if name.startswith("sampling/")
        },
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


def show(comparison: Mapping[str, Any]) -> str:
    """Return the comparison as Markdown."""
    table = comparison["systems"]
    lines = ["| | TRL | r1trl | ratio |", "|---|---:|---:|---:|"]
    for name in table["trl"]:
        theirs, ours = table["trl"][name], table["r1trl"][name]
        if name == "share of peak" and not ours:
            continue  # the peak is unknown
        ratio = f"{ours / theirs:.2f}" if theirs > 1e-3 else ""
        lines.append(f"| {name} | {theirs:,.3f} | {ours:,.3f} | {ratio} |")
    pairs = ", ".join(f"{pair:.2f}" for pair in comparison["pairs"])
    ratio = f"ratio of step times: {comparison['ratio']:.3f} (by seed: {pairs})"
    return "\n".join([*lines, f"\n{ratio}"])


def main() -> None:
    """Run both systems in turn and compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--world", choices=WORLDS, default="tiny")
    parser.add_argument("--model", default="", help=f"a folder, or one of {', '.join(SHAPES)}")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument(
        "--replay", action="store_true", help="generate nothing: train on random ids"
    )
    parser.add_argument("--set", nargs="*", default=(), help="Hydra overrides for both systems")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--quick", action="store_true", help="one seed, three steps")
    parser.add_argument("--out", type=Path, help="where the JSON goes")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    steps = 3 if args.quick else args.steps or STEPS[args.world]
    if args.one:
        args.out.write_text(json.dumps(one(Job(**json.loads(args.one)))))
        return

    def measured(system: str, seed: int) -> Any:
        options = (args.model, args.dtype, args.replay, args.set)
        job = Job(system, args.world, seed, steps, *options)
        run = child(__file__, json.dumps(asdict(job)))
        print(f"{system} {seed}: {statistics.fmean(run['steps'][WARM:]):.2f} s a step", flush=True)
        return run

    about = machine(PACKAGES)
    runs = in_turn(SYSTEMS, 1 if args.quick else args.seeds, measured)
    comparison = compared(runs)
    print(show(comparison))
    out = args.out or HERE / "results" / f"grpo-{args.world}.json"
    content = {
        "machine": about,
        "world": args.world,
        "model": Path(args.model).name,
        **comparison,
        "runs": runs,
    }
    out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
