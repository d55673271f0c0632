"""Prompts that `generate` samplers change, rendered anew as the stage renders its rows."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from r1trl.chat.messages import cleaned, with_system
from r1trl.chat.thinking import RowError, continuation
from r1trl.data.prompts import row_named, writer_for
from r1trl.data.row_writer import messages_of
from r1trl.samplers import Messages
from r1trl.types import Completion
from r1trl.variants import PromptSettings

if TYPE_CHECKING:
    from datasets import Dataset


class PromptRewriter:
    """Renders changed messages of rows, each by its settings; see `Policy.rewrite_prompts`.

    It remembers the messages of what it has rendered, so that several samplers can change a prompt.
    """

    def __init__(self, settings: Sequence[PromptSettings], rows: "Dataset", tokenizer: Any) -> None:
        self.settings, self.rows = settings, rows
        plain = {repr(own): replace(own, system=None) for own in settings}
        self.writers = {key: writer_for(tokenizer, own) for key, own in plain.items()}
        self.rendered: dict[tuple[int, str], Messages] = {}

    def __call__(
        self, completions: Sequence[Completion], change: Callable[[Messages], Messages]
    ) -> list[Completion]:
        """Return completions of changed prompts; raise StageError if one cannot be rendered."""
        return [self._rewritten(completion, change) for completion in completions]

    def _rewritten(
        self, completion: Completion, change: Callable[[Messages], Messages]
    ) -> Completion:
        row: Mapping[str, Any] = self.rows[completion.row]
        own = self.settings[completion.row]
        with row_named(row, completion.row):
            before = self._messages(completion, row)
            after = change(deepcopy(before))
            if not after:
                raise RowError("its prompt was rewritten to no message at all")
            _, text = self.writers[repr(own)].prompt({**row, "prompt": after, "system": None})
        text += continuation(text, own.prefill, finished=False)
        self.rendered[completion.row, text] = after
        return replace(completion, prompt=text)

    def _messages(self, completion: Completion, row: Mapping[str, Any]) -> Messages:
        """Return the messages of a completion's prompt: the row's own, or what they became."""
        before = self.rendered.get((completion.row, completion.prompt))
        if before is None:
            own = self.settings[completion.row]
            # A raw template does not show it.
            system = None if own.template else row.get("system") or own.system
            before = cleaned(with_system(messages_of(row["prompt"]), system))
        return before
