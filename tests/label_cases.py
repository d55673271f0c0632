"""Chat templates and shapes of rows, and their labels as text: what is in the loss in brackets."""

import functools
from collections.abc import Mapping
from typing import Any

from awkward_models import AWKWARD, CHAT_TOKENS, CHATML, Awkward, _tokenizer

from r1trl.chat.samples import IGNORED, Sample, pieces

LLAMA3 = """{{ bos_token }}{%- if messages[0].role != 'system' -%}
{{ '<|start_header_id|>system<|end_header_id|>\\n\\nToday is Monday.<|eot_id|>' }}
{%- endif -%}{%- for m in messages -%}
{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\\n\\n' + m.content | trim + '<|eot_id|>' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif -%}"""
# The system prompt goes to the last question; nothing begins an answer.
MISTRAL = """{{ bos_token }}{%- set ns = namespace(system='', last=0) -%}
{%- for m in messages -%}
{%- if m.role == 'system' -%}{%- set ns.system = m.content + '\\n\\n' -%}{%- endif -%}
{%- if m.role == 'user' -%}{%- set ns.last = loop.index0 -%}{%- endif -%}
{%- endfor -%}
{%- for m in messages -%}
{%- if m.role == 'user' -%}
{{ '[INST] ' + (ns.system if loop.index0 == ns.last else '') + m.content + ' [/INST]' }}
{%- elif m.role == 'assistant' -%}{{ ' ' + m.content + '</s>' }}{%- endif -%}
{%- endfor -%}"""
# Thinking is a variable; the turns before are without it.
DEEPSEEK = """{{ bos_token }}{%- for m in messages -%}
{%- if m.role == 'user' -%}{{ '<|User|>' + m.content }}
{%- elif m.role == 'tool' -%}{{ '<|tool|>' + m.content + '<|end_tool|>' }}
{%- elif m.role == 'assistant' -%}
{{ '<|Assistant|></think>' + (m.content or '').split('</think>')[-1] }}
{%- for call in m.tool_calls or [] -%}
{{ '<|call|>' + call.function.name + '\\n' + call.function.arguments + '<|end_call|>' }}
{%- endfor -%}{{ '<|eos|>' }}
{%- else -%}{{ m.content }}{%- endif -%}{%- endfor -%}
{%- if add_generation_prompt -%}
{{ '<|Assistant|>' + ('<think>' if thinking is defined and thinking else '</think>') }}
{%- endif -%}"""
# Two end tokens: of a turn, and of what is no generation.
PHI3 = """{%- for m in messages -%}{{ '<|' + m.role + '|>\\n' + m.content + '<|end|>\\n' }}
{%- endfor -%}{{ '<|assistant|>\\n' if add_generation_prompt else eos_token }}"""
# Every answer, in generation and before, stands after an open <think>.
ALWAYS_OPEN = """{%- for m in messages -%}
{{ '<|im_start|>' + m.role + '\\n' + ('<think>\\n' if m.role == 'assistant' else '') }}
{{- m.content + '<|im_end|>\\n' }}{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n<think>\\n' }}{%- endif -%}"""
GENERATION = """{%- for m in messages -%}{%- if m.role == 'assistant' -%}
{{ '<|im_start|>assistant\\n' }}{% generation %}{{ m.content + '<|im_end|>' }}{% endgeneration %}
{{- '\\n' }}{%- else -%}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}
{%- endif -%}{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}"""
# No token ends a turn.
PLAIN = """{%- for m in messages -%}{{ '### ' + m.role + ': ' + m.content + '\\n' }}{%- endfor -%}
{%- if add_generation_prompt -%}{{ '### assistant: ' }}{%- endif -%}"""
LLAMA_TOKENS = ("<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>")
OWN: Mapping[str, Awkward] = {
    "llama3": Awkward(LLAMA_TOKENS, "<|eot_id|>", None, LLAMA3, bos="<|begin_of_text|>"),
    "mistral": Awkward(("<s>", "</s>"), "</s>", None, MISTRAL, bos="<s>"),
    "deepseek": Awkward(
        ("<|bos|>", "<|eos|>", "<|User|>", "<|Assistant|>", "<|call|>", "<|end_call|>"),
        "<|eos|>",
        None,
        DEEPSEEK,
        bos="<|bos|>",
    ),
    "phi3": Awkward(("<|endoftext|>", "<|end|>"), "<|endoftext|>", None, PHI3),
    "always_open": Awkward(CHAT_TOKENS, "<|im_end|>", None, ALWAYS_OPEN),
    "generation": Awkward(CHAT_TOKENS, "<|im_end|>", None, GENERATION),
    "plain": Awkward(("<eos>",), "<eos>", None, PLAIN),
    "chatml_bos": Awkward(CHAT_TOKENS, "<|im_end|>", None, CHATML, bos="<|endoftext|>"),
}
FIVE = ("chatml", "qwen3", "r1_distill", "gemma", "llama3")

THOUGHT = "<think>\nOne.\n</think>\n\n1"
SHAPES: Mapping[str, dict[str, Any]] = {
    "prompt and completion": {"prompt": "Hi?", "completion": "<think> One. </think> 1"},
    "messages": {
        "messages": [
            {"role": "user", "content": "Hi?"},
            {"role": "assistant", "content": THOUGHT},
            {"role": "user", "content": "And?"},
            {"role": "assistant", "content": THOUGHT},
        ]
    },
    "reasoning beside the content": {
        "messages": [
            {"role": "user", "content": "Hi?", "reasoning_content": None},
            {"role": "assistant", "content": "1", "reasoning_content": "One."},
        ]
    },
    "prompt and completion of messages": {
        "prompt": [
            {"role": "user", "content": "Hi?"},
            {"role": "assistant", "content": "No."},
            {"role": "user", "content": "And?"},
        ],
        "completion": [{"role": "assistant", "content": THOUGHT}],
    },
}


@functools.cache
def tokenizer_of(name: str) -> Any:
    """Return a tokenizer with a chat template, by its name in AWKWARD or OWN."""
    return _tokenizer({**AWKWARD, **OWN}[name])


def marked(sample: Sample, tokenizer: Any) -> str:
    """Return a sample as text, what is in the loss in brackets."""
    return "".join(f"⟦{text}⟧" if on else text for text, on in pieces(sample, tokenizer))


def by_token(sample: Sample, tokenizer: Any) -> str:
    """Return a sample in one line, a dot between tokens, what is in the loss in brackets."""
    runs, on = list[tuple[bool, list[str]]](), None
    for id_, label in zip(sample.input_ids, sample.labels, strict=True):
        if (label != IGNORED) != on:
            on = label != IGNORED
            runs.append((on, []))
        runs[-1][1].append(tokenizer.decode([id_]).replace("\n", "↵").replace(" ", "␣"))
    return "·".join(f"⟦{'·'.join(run)}⟧" if learned else "·".join(run) for learned, run in runs)


def table(samples: list[Sample], tokenizer: Any) -> str:
    """Return the tokens of samples, one a line, each with its label."""
    lines = []
    for number, sample in enumerate(samples, 1):
        lines.append(f"sample {number}")
        for id_, label in zip(sample.input_ids, sample.labels, strict=True):
            on = "-" if label == IGNORED else str(label)
            lines.append(f"{tokenizer.decode([id_])!r:>24} {id_:>6} {on:>6}")
    return "\n".join(lines)
