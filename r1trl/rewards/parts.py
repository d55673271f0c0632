"""The parts of a response: what was thought, and what was said in the end."""

THINK, END = "<think>", "</think>"


def scored_text(prompt: str, completion: str, part: str) -> str:
    """Return what a reward model reads, in training and in use alike: the prompt and a part.

    'summary' is what follows the last `</think>`, without the answer tags; of a thought that has
    not ended it is nothing, and a `<think>` that ends the prompt goes too. 'response' is all of
    the completion. DeepSeek-R1 v2, section 3.1: helpfulness is judged on the final summary, safety
    on everything.
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
