"""Recipes with every kind of stage, and the sizes that make each take seconds."""

PAPER = """# @package _global_
defaults:
  - full
  - /stage@stages.rloo: rloo
  - /stage@stages.pairs: dpo
  - /stage@stages.on_policy: distillation
  - _self_
stages:
  rloo:
    model: stage:dev1
    data: {problems: {}}
    rewards: {accuracy: {answer: answer_tag}, think_format: {profile: think_answer}}
    args: {max_steps: 12, max_completion_length: 48}
  pairs:
    model: stage:dev3
    data: {preferences: {}}
    args: {save_strategy: steps, save_steps: 3}
  on_policy:
    model: stage:student
    teacher: stage:r1
    data: {problems: {}}
    args: {max_steps: 24, max_completion_length: 32, save_steps: 3}  # meets what came late
"""
SHORT = """# @package _global_
defaults:
  - /chain/zero@_global_
  - /stage@stages.samples: sample
  - /stage@stages.tuned: sft
  - /stage@stages.helpful_rm: reward_model
  - /stage@stages.pairs: dpo
  - /stage@stages.on_policy: distillation
  - /stage@stages.scoreboard: evaluate
  - _self_
stages:
  samples:
    model: stage:zero
    template: ${template.zero}
    data: {problems: {sample_rows: "${scale.samples.prompts}"}}
    rewards: {accuracy: {answer: answer_tag}}
    sampling: {shard_size: 16}
  tuned:
    data: {drawn: {path: stage:samples, filters: {correct: {}}}, general: {sample_rows: 32}}
    args: {save_strategy: steps, save_steps: 2}
  helpful_rm:
    objective: pairwise
    data: {preferences: {}}
    args: {save_strategy: steps, save_steps: 2}
  pairs:
    data: {preferences: {}}
    args: {save_strategy: steps, save_steps: 3}
  on_policy:
    teacher: stage:zero
    data: {problems: {}}
    args: {max_steps: 6, max_completion_length: 24, save_steps: 3}
  scoreboard:
    sampling: {shard_size: 4}
    models:
      base: {path: "${model.path}", template: "${template.zero}"}
      zero: {path: stage:zero, template: "${template.zero}"}
      tuned: {path: stage:tuned}
"""
SMALL = (
    "scale.rl.group=4",
    "scale.rl.outputs=32",
    "scale.rl.micro_batch=8",
    "scale.rl.save_every=2",
    "scale.rl.reference_every=4",
    "scale.zero={first_steps: 8, first_tokens: 48, steps: 6, tokens: 48}",
    "scale.samples={prompts: 128, n: 8, temperature: 1.0, tokens: 48, batch: 512}",
    "scale.sft.batch=8",
    "scale.sft.micro_batch=4",
    "scale.sft.epochs=2",
    "scale.reward_model.epochs=1",
    "scale.reward_model.batch=8",
    "scale.reward_model.micro_batch=4",
    "sources.preferences.options.count=64",
    "sources.problems.options.count=256",
    "scale.evaluation={n: 2, temperature: 0.6, top_p: 0.95, tokens: 48, batch: 64}",
    "benchmarks.held_out.options.count=16",
    "scale.distill={epochs: 1, batch: 32, tokens: 256, prompts: 256, n: 1}",
)
OFTEN = ("args.save_strategy=steps", "args.save_steps=2")
LARGER = (  # for PAPER
    "scale.rejection={prompts: 128, n: 2}",
    "scale.cold_start.epochs=2",
    "scale.general.count=32",
    "scale.dev2={steps: 6, tokens: 48}",
    "scale.r1={steps: 8, general_from: 3, learning_rate: 1e-4, temperature: 0.7, tokens: 48}",
    "scale.student_rl={steps: 6, tokens: 48}",
    "sources.safety_labels.options.count=64",
    *(
        f"stages.{name}.{often}"
        for name in ("dev1", "dev3", "student", "helpful_rm", "safety_rm")
        for often in OFTEN
    ),
    *(
        f"stages.{name}.sampling.shard_size=16"
        for name in ("zero_samples", "dev2_samples", "r1_samples")
    ),
    "stages.scoreboard.sampling.shard_size=8",
)
