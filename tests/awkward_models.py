"""Tiny random models with the tokenizers, chat templates and generation settings of real families.

`awkward_model(name, folder)` writes one; `AWKWARD` has them by name. Their tokenizers are trained
on a few sentences, so that every text can be written; their weights are random.
"""

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role + '\\n' + m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# Reasoning before the last question is left out; `enable_thinking=false` closes it at once.
QWEN3 = """
{%- set ns = namespace(last=-1) -%}
{%- for m in messages if m.role == 'user' -%}{%- set ns.last = ns.last + 1 -%}{%- endfor -%}
{%- set seen = namespace(users=-1) -%}
{%- if tools -%}
{{ '<|im_start|>system\\n# Tools\\n' + tools | tojson + '<|im_end|>\\n' }}
{%- endif -%}
{%- for m in messages -%}
{%- if m.role == 'user' -%}{%- set seen.users = seen.users + 1 -%}{%- endif -%}
{{ '<|im_start|>' + m.role + '\\n' }}
{%- if m.role != 'assistant' -%}{{ m.content }}
{%- else -%}
{%- set answer, thought = m.content or '', '' -%}
{%- if m.reasoning_content is string -%}{%- set thought = m.reasoning_content -%}
{%- elif '</think>' in answer -%}
{%- set thought = answer.split('</think>')[0].split('<think>')[-1].strip('\\n') -%}
{%- set answer = answer.split('</think>')[-1].lstrip('\\n') -%}
{%- endif -%}
{%- if seen.users == ns.last and (loop.last or thought) -%}
{{ '<think>\\n' + thought.strip('\\n') + '\\n</think>\\n\\n' }}
{%- endif -%}
{{ answer.lstrip('\\n') }}
{%- for call in m.tool_calls or [] -%}
{{ '<tool_call>' + call | tojson + '</tool_call>' }}
{%- endfor -%}
{%- endif -%}
{{ '<|im_end|>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{ '<|im_start|>assistant\\n' }}
{%- if enable_thinking is defined and enable_thinking is false -%}
{{ '<think>\\n\\n</think>\\n\\n' }}
{%- endif -%}
{%- endif -%}"""
# Every answer loses what stands before </think>; a generation begins after an open <think>.
R1_DISTILL = """{{ bos_token }}{%- for m in messages -%}
{%- if m.role == 'system' -%}{{ m.content }}
{%- elif m.role == 'user' -%}{{ '<|User|>' + m.content }}
{%- else -%}{{ '<|Assistant|>' + m.content.split('</think>')[-1] + '<|eos|>' }}
{%- endif -%}{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|Assistant|><think>\\n' }}{%- endif -%}"""
# No system role, strict turns, contents stripped.
GEMMA = """{{ bos_token }}
{%- if messages[0].role == 'system' -%}
{{ raise_exception('System role not supported') }}
{%- endif -%}
{%- for m in messages -%}
{%- if (m.role == 'user') != (loop.index0 % 2 == 0) -%}
{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}
{%- endif -%}
{{ '<start_of_turn>' + ('model' if m.role == 'assistant' else m.role) + '\\n' }}
{{- m.content | trim + '<end_of_turn>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<start_of_turn>model\\n' }}{%- endif -%}"""
SENTENCES = ["A question, the reasoning, and the answer to it."] * 20 + [
    f"What is {a} plus {b}? <think> {a} and {b} make {a + b} </think> <answer> {a + b} </answer>"
    for a in range(40)
    for b in range(5)
]


@dataclass(frozen=True)
class Awkward:
    """A model: its special tokens, roles, chat template, and generation settings by token."""

    specials: Sequence[str]
    eos: str
    pad: str | None
    template: str | None
    bos: str | None = None  # put before every text
    generation: Mapping[str, Any] | None = None
    extra: Sequence[str] = ()  # tokens without embeddings
    unused_embeddings: int = 0
    context: int = 1024
    dtype: str = "float32"
    settings: Mapping[str, Any] = field(default_factory=dict)  # of the model's config


CHAT_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
PLAIN = {"specials": (*CHAT_TOKENS, "<|pad|>"), "eos": "<|im_end|>", "pad": "<|pad|>"}
AWKWARD: Mapping[str, Awkward] = {
    "chatml": Awkward(**PLAIN, template=CHATML, generation={"eos_token_id": "<|im_end|>"}),
    "qwen25_base": Awkward(
        CHAT_TOKENS,
        "<|endoftext|>",
        "<|endoftext|>",
        CHATML,
        generation={"do_sample": False, "eos_token_id": "<|endoftext|>", "max_new_tokens": 2048},
        unused_embeddings=300,
    ),
    "qwen3": Awkward(
        CHAT_TOKENS,
        "<|im_end|>",
        "<|endoftext|>",
        QWEN3,
        generation={
            "eos_token_id": ["<|im_end|>", "<|endoftext|>"],
            "pad_token_id": "<|endoftext|>",
            "do_sample": True,
            "temperature": 0.6,
            "top_k": 20,
            "top_p": 0.95,
        },
    ),
    "r1_distill": Awkward(
        ("<|bos|>", "<|eos|>", "<|User|>", "<|Assistant|>"),
        "<|eos|>",
        "<|eos|>",
        R1_DISTILL,
        bos="<|bos|>",
        generation={"eos_token_id": "<|eos|>", "do_sample": True, "temperature": 0.6},
    ),
    "llama_base": Awkward(
        ("<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"),
        "<|end_of_text|>",
        None,
        None,
        bos="<|begin_of_text|>",
        generation={"eos_token_id": "<|end_of_text|>", "do_sample": True, "temperature": 0.6},
    ),
    "gemma": Awkward(
        ("<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>"),
        "<eos>",
        "<pad>",
        GEMMA,
        bos="<bos>",
        generation={"eos_token_id": ["<eos>", "<end_of_turn>"], "do_sample": True, "top_k": 64},
    ),
    "invalid_generation": Awkward(
        **PLAIN,
        template=CHATML,
        generation={"do_sample": False, "temperature": 0.9, "top_p": 0.6},
    ),
    "few_embeddings": Awkward(**PLAIN, template=CHATML, extra=("<think>", "</think>")),
    "short_context": Awkward(**PLAIN, template=CHATML, context=64),
    "bfloat16": Awkward(
        **PLAIN, template=CHATML, dtype="bfloat16", settings={"tie_word_embeddings": False}
    ),
}


def awkward_model(name: str, folder: Path) -> Path:
    """Write one of the models to `folder`/name, unless it is there; return that."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    made, path = AWKWARD[name], folder / name
    if path.exists():
        return path
    tokenizer = _tokenizer(made)
    ids = tokenizer.convert_tokens_to_ids
    config = Qwen2Config(
        vocab_size=len(tokenizer) + made.unused_embeddings - len(made.extra),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=made.context,
        eos_token_id=ids(made.eos),
        pad_token_id=made.pad and ids(made.pad),
        bos_token_id=made.bos and ids(made.bos),
        **{"tie_word_embeddings": True, **made.settings},
    )
    torch.manual_seed(0)
    Qwen2ForCausalLM(config).to(getattr(torch, made.dtype)).save_pretrained(path)
    tokenizer.save_pretrained(path)
    if made.generation is not None:
        values = {
            key: ([ids(token) for token in v] if isinstance(v, list) else ids(v))
            if key.endswith("_token_id")
            else v
            for key, v in made.generation.items()
        }
        (path / "generation_config.json").write_text(json.dumps(values))
    return path


@functools.cache
def _bytes_pairs(specials: tuple[str, ...], bos: str | None) -> Any:
    """Return a byte-level tokenizer that puts `bos` before every text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=list(specials),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(SENTENCES, trainer)
    if bos:
        first = [(bos, made.token_to_id(bos))]
        made.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", pair=f"{bos} $A {bos} $B", special_tokens=first
        )
    return made


def _tokenizer(made: Awkward) -> Any:
    from transformers import PreTrainedTokenizerFast

    roles = {"eos_token": made.eos, "pad_token": made.pad, "bos_token": made.bos}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=_bytes_pairs(tuple(made.specials), made.bos),
        padding_side="left",
        clean_up_tokenization_spaces=False,
        **{role: token for role, token in roles.items() if token},
    )
    if made.template:
        tokenizer.chat_template = made.template
    tokenizer.add_tokens(list(made.extra))
    return tokenizer
