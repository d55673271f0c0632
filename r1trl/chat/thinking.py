"""Where a model's thinking is opened: by the prompt or by the model, and never by both."""

THINK, END = "<think>", "</think>"


class RowError(ValueError):
    """A row cannot be written for the model without loss; says what to change."""


def opening(prompt: str) -> str:
    """Return the `<think>` at the end of a prompt, with the white space after it, or ""."""
    _, tag, space = prompt.rpartition(THINK)
    return tag + space if tag and not space.strip() else ""


def continuation(prompt: str, text: str, *, finished: bool = True) -> str:
    """Return `text` as the model has to write it after `prompt`: its thinking opened exactly once.

    A prompt that opens the thinking takes the tag from the text, or, if nothing is thought in it,
    gets the thinking closed at once; an unfinished text may end inside its thinking. After another
    prompt, a text that begins inside the thinking, as a teacher's may whose own prompt opened it,
    gets the tag. Raises RowError if the prompt has ended the thinking and the text thinks.
    """
    opened = opening(prompt)
    if opened:
        return _inside(opened, text, finished)
    if prompt.rstrip().endswith(END):
        text = without_empty_thinking(text)
        if _begins_inside(text) or text.lstrip().startswith(THINK):
            raise RowError(
                "the prompt ends the thinking before the answer, and the answer thinks; switch it "
                "on in chat_template_kwargs, or take the reasoning out of the row"
            )
        return text
    if _begins_inside(text):
        return THINK + ("" if text[:1].isspace() else "\n") + text
    return text


def without_empty_thinking(text: str) -> str:
    """Return a text without thinking at its start that holds nothing, or its end alone."""
    begun = text.lstrip().removeprefix(THINK).lstrip()
    return begun.removeprefix(END).lstrip() if begun.startswith(END) else text


def _inside(opened: str, text: str, finished: bool) -> str:
    """Return a text as it continues thinking that `opened` has begun."""
    begun = text.lstrip()
    if begun.startswith(THINK):
        text = begun.removeprefix(THINK)
        text = text if opened == THINK else text.lstrip()
    if END in text or not finished:
        return text
    return f"{END}{text}" if opened == THINK else f"\n{END}\n\n{text.lstrip()}"


def _begins_inside(text: str) -> bool:
    """Return True if thinking ends in a text that has not begun it."""
    before, end, _ = text.partition(END)
    return bool(end) and THINK not in before
