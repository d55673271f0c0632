"""The names of columns: those that later code reads, and what other people call them."""

CHAT = ("messages", "prompt", "completion", "chosen", "rejected")  # texts, or lists of messages
CONVERSATIONS = ("conversations", "conversation")  # ShareGPT's, which become messages
QUESTIONS = ("question", "problem", "instruction", "query", "input", "user")
SOLUTIONS = (
    *("answer", "final_answer", "gold", "gold_answer", "target", "ground_truth"),
    *("expected_answer", "reference_answer", "correct_answer", "label"),
)
RESPONSES = ("output", "response", "assistant")
PICTURES = ("image", "images")  # TRL takes rows with one of these for rows with pictures
ROW_COLUMNS = {*CHAT, *CONVERSATIONS, *QUESTIONS, "text"}  # an object with one of these is a row


def found(columns: list[str]) -> dict[str, str]:
    """Return which columns are the prompt, the solution and the completion, by their new names.

    Nothing is found if the rows have a prompt or messages already, and of several possible columns
    none is. Alpaca's instruction and input are `instruction+input`.
    """
    there = set(columns)
    if there & {"prompt", "messages", *CONVERSATIONS}:
        return {}
    alpaca = {"instruction", "input"} <= there
    meant = {
        "prompt": "instruction+input" if alpaca else _only(QUESTIONS, there),
        "completion": _only(RESPONSES, there),
        "solution": _only(SOLUTIONS, there),
    }
    if meant["prompt"] is None:
        return {}
    return {new: old for new, old in meant.items() if old is not None and new not in there}


def _only(names: tuple[str, ...], there: set[str]) -> str | None:
    """Return the one of these names that is there; None if none or several are."""
    present = [name for name in names if name in there]
    return present[0] if len(present) == 1 else None


def shaped(columns: list[str]) -> list[str]:
    """Return the columns that rows with these columns have once they are in the one shape."""
    there = dict.fromkeys(columns)
    if "messages" not in there and any(name in there for name in CONVERSATIONS):
        there["messages"] = None
    if "prompt" not in there and "chosen" in there and "rejected" in there:
        there["prompt"] = None
    return list(there)
