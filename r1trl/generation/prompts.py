"""Prompts that `generate` samplers change, rendered anew as the stage renders its rows."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from r1trl.chat.messages import cleaned, with_system
from r1trl.chat.thinking import RowError, continuation
from r1trl.config.schema import StageConfig
from r1trl.data.prompts import row_named
from r1trl.data.row_writer import RowWriter, messages_of
from r1trl.samplers import Messages
from r1trl.types import Completion

if TYPE_CHECKING:
    from datasets import Dataset


class PromptRewriter:
    """Renders changed messages of rows by a stage's settings; see `Policy.rewrite_prompts`.

    It remembers the messages of what it has rendered, so that several samplers can change a prompt.
    """

    def __init__(self, stage: StageConfig, rows: "Dataset", tokenizer: Any) -> None:
        self.stage, self.rows = stage, rows
        self.writer = RowWriter(tokenizer, stage.template, None, stage.chat_template_kwargs)
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
        with row_named(row, completion.row):
            before = self._messages(completion, row)
            after = change(deepcopy(before))
            if not after:
                raise RowError("its prompt was rewritten to no message at all")
            _, text = self.writer.prompt({**row, "prompt": after, "system": None})
        text += continuation(text, self.stage.prefill, finished=False)
        self.rendered[completion.row, text] = after
        return replace(completion, prompt=text)

    def _messages(self, completion: Completion, row: Mapping[str, Any]) -> Messages:
        """Return the messages of a completion's prompt: the row's own, or what they became."""
        before = self.rendered.get((completion.row, completion.prompt))
        if before is None:
            own = row.get("system") or self.stage.system
            system = None if self.stage.template else own  # which a raw template does not show
            before = cleaned(with_system(messages_of(row["prompt"]), system))
        return before
