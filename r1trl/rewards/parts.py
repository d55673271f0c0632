"""The parts of a completion: the thinking, and the final part, which alone holds the answer."""

from typing import Any

THINK, END = "<think>", "</think>"


def with_prefill(prompt: Any, completion: str) -> str:
    """Return the completion, after the `<think>` at the end of its prompt if there is one.

    A prompt of messages opens no thinking.
    """
    _, tag, space = prompt.rpartition(THINK) if isinstance(prompt, str) else ("", "", "")
    return tag + space + completion if tag and not space.strip() else completion


def final_part(text: str) -> str | None:
    """Return the text after the last `</think>`, or all of it if nothing was thought.

    None if a `<think>` is still open, for unfinished thinking holds no answer. `with_prefill` gives
    the text of a completion whose prompt begins the thinking.
    """
    after = text.rpartition(END)[2]
    return None if THINK in after else after


def scored_text(prompt: str, completion: str, part: str) -> str:
    """Return the text that a reward model reads, in training and in use: prompt and part.

    `part` is 'response', all of the completion, or 'summary': its final part without answer tags,
    empty if the thinking has not ended, and without a `<think>` that ends the prompt. DeepSeek-R1
    v2, section 3.1: helpfulness is judged on the final summary, safety on everything.
    """
    if part == "response":
        return prompt + completion
    final = final_part(with_prefill(prompt, completion)) or ""
    bare = prompt.rstrip().removesuffix(THINK) if prompt.rstrip().endswith(THINK) else prompt
    return bare + final.replace("<answer>", "").replace("</answer>", "").strip()
