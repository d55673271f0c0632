"""Token ids and labels of a row: the loss is on what the model has to write, and nothing else."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from r1trl.chat.conversation import Conversation
from r1trl.chat.thinking import RowError

IGNORED = -100  # the label of a token that is not in the loss


@dataclass
class Sample:
    """One sequence: its token ids, and for each the id itself as label, or IGNORED."""

    input_ids: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)

    def read(self, ids: list[int]) -> None:
        """Append ids that are not in the loss."""
        self.input_ids += ids
        self.labels += [IGNORED] * len(ids)

    def write(self, ids: list[int]) -> None:
        """Append ids that are in the loss."""
        self.input_ids += ids
        self.labels += ids

    def everything(self) -> "Sample":
        """Return the sample with all of its tokens in the loss."""
        return Sample(self.input_ids, list(self.input_ids))


def conversation_samples(conversation: Conversation, learned: Iterable[int]) -> list[Sample]:
    """Return the samples of a conversation, the loss on the messages whose indices are `learned`.

    Turns share a sample as long as each prompt begins with all that was read and written before
    it, to the token. Where the template writes an earlier turn differently, because it drops that
    turn's reasoning, a new sample begins: so each turn is learned from what is read in generation.
    Raises RowError if the template would lose something.
    """
    indices = list(learned)
    if not indices:
        raise RowError("the row has no answer of the assistant to learn")
    prompts = [conversation.prompt(index) for index in indices]
    conversation.require_all(prompts[-1], indices[-1])
    samples = list[Sample]()
    for index, prompt in zip(indices, prompts, strict=True):
        target = conversation.target(index, prompt)
        read, written = encode(conversation.tokenizer, prompt, target)
        so_far = samples[-1].input_ids if samples else []
        if not samples or read[: len(so_far)] != so_far:
            samples.append(Sample())
        samples[-1].read(read[len(samples[-1].input_ids) :])
        samples[-1].write(written)
    return samples


def text_sample(tokenizer: Any, prompt: str, target: str) -> Sample:
    """Return the sample of a prompt and of what follows it, both texts."""
    read, written = encode(tokenizer, prompt, target)
    sample = Sample()
    sample.read(read)
    sample.write(written)
    return sample


def encode(tokenizer: Any, prompt: str, target: str) -> tuple[list[int], list[int]]:
    """Return the ids of a prompt, those that generation begins with, and of what follows it.

    The two are tokenised together, and apart where a token would reach over the border.
    """
    read = tokenizer(prompt)["input_ids"]
    together = tokenizer(prompt + target)["input_ids"]
    if together[: len(read)] == read:
        return read, together[len(read) :]
    return read, tokenizer(target, add_special_tokens=False)["input_ids"]


def pieces(sample: Sample, tokenizer: Any) -> Iterator[tuple[str, bool]]:
    """Yield a sample as text, in pieces that are in the loss or not."""
    start = 0
    on = [label != IGNORED for label in sample.labels]
    for i in range(1, len(on) + 1):
        if i == len(on) or on[i] != on[start]:
            yield tokenizer.decode(sample.input_ids[start:i]), on[start]
            start = i
