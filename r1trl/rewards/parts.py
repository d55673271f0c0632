"""The parts of a response that a reward model reads: the final summary, or everything."""

THINK, END = "<think>", "</think>"


def scored_text(prompt: str, completion: str, part: str) -> str:
    """Return the text that a reward model reads, in training and in use: prompt and part.

    `part` is 'response', all of the completion, or 'summary': the text after the last `</think>`
    without answer tags, empty if the thinking has not ended, and without a `<think>` that ends the
    prompt. DeepSeek-R1 v2, section 3.1: helpfulness is judged on the final summary, safety on
    everything.
    """
    if part == "response":
        return prompt + completion
    bare = prompt.rstrip().removesuffix(THINK) if _begins_thought(prompt) else prompt
    return bare + _summary(prompt, completion)


def _begins_thought(prompt: str) -> bool:
    return prompt.rstrip().endswith(THINK)


def _summary(prompt: str, completion: str) -> str:
    _, ended, after = completion.rpartition(END)
    if THINK in after or (_begins_thought(prompt) and not ended):
        return ""
    return after.replace("<answer>", "").replace("</answer>", "").strip()
