"""A trained reward model: a sequence classifier with one output and its tokenizer."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


class SequenceScorer:
    """A reward model, for the device that accelerate has given this process.

    Its weights are on the host, and on the device in the block of `on_device`. `dtype` None is
    bfloat16 on a GPU, on a CPU the one in which the model is saved. Raises ValueError if the folder
    or Hub id is not a trained reward model.
    """

    def __init__(self, model: str, dtype: str | None = None) -> None:
        from accelerate import PartialState
        from transformers import AutoTokenizer

        self.device = PartialState().device
        own = "auto" if self.device.type == "cpu" else "bfloat16"
        self.tokenizer = AutoTokenizer.from_pretrained(model)
        self.network = load(model, dtype or own).eval()
        self.lent: dict[str, Tensor] = {}
        config = self.network.config.get_text_config()
        if config.pad_token_id is None:
            config.pad_token_id = pad_token_id(self.tokenizer)
        self.pad_token_id: int = config.pad_token_id

    def token_ids(self, text: str, max_length: int | None) -> list[int]:
        """Return the last `max_length` token ids of a text; None returns all.

        The end-of-sequence token is the last, as in TRL's RewardTrainer.
        """
        end = self.tokenizer.eos_token or ""
        ids: list[int] = self.tokenizer(text if text.endswith(end) else text + end)["input_ids"]
        return ids if max_length is None else ids[-max_length:]

    @contextmanager
    def on_device(self) -> Iterator[None]:
        """Lend the weights to the device while the block runs; those on the host stay as they are.

        So training has the GPU's memory for itself but while completions are scored.
        """
        own = [*self.network.named_parameters(), *self.network.named_buffers()]
        self.lent = {name: tensor.detach().to(self.device) for name, tensor in own}
        try:
            yield
        finally:
            self.lent = {}

    def logits(self, samples: list[list[int]]) -> "Tensor":
        """Return one logit per list of token ids: (samples,) float32 on the CPU.

        The batch is right-padded. To be called in the block of `on_device`.
        """
        import torch
        from torch.func import functional_call
        from torch.nn.utils.rnn import pad_sequence

        rows = [torch.tensor(sample) for sample in samples]
        ids = pad_sequence(rows, batch_first=True, padding_value=self.pad_token_id)
        mask = pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
        with torch.inference_mode():
            inputs = {"input_ids": ids.to(self.device), "attention_mask": mask.to(self.device)}
            output = functional_call(self.network, self.lent, None, {**inputs, "use_cache": False})
        return output.logits[:, 0].float().cpu()


def pad_token_id(tokenizer: Any) -> int:
    """Return the id of the padding or else the end token; raise ValueError if there is neither."""
    for token in (tokenizer.pad_token_id, tokenizer.eos_token_id):
        if token is not None:
            return int(token)
    raise ValueError("the reward model's tokenizer has neither a padding nor an end token")


def load(model: str, dtype: str) -> Any:
    """Load a trained sequence classifier with one output; raise ValueError if it is not one.

    `dtype` is the name of one of torch's, or "auto": the one in which it is saved.
    """
    from transformers import AutoModelForSequenceClassification

    with unsharded_loading():
        network, report = AutoModelForSequenceClassification.from_pretrained(
            model, dtype=dtype, output_loading_info=True
        )
    if network.config.num_labels != 1:
        raise ValueError(f"'{model}' gives {network.config.num_labels} numbers, not one reward")
    if report["missing_keys"]:
        missing = ", ".join(sorted(report["missing_keys"]))
        raise ValueError(f"'{model}' is no trained reward model: it has no weights for {missing}")
    return network


@contextmanager
def unsharded_loading() -> Iterator[None]:
    """Unset transformers' DeepSpeed config meanwhile: with ZeRO-3 it would shard these weights."""
    from transformers.integrations import deepspeed

    reference = getattr(deepspeed, "_hf_deepspeed_config_weak_ref", None)
    config = reference() if reference else None
    deepspeed.unset_hf_deepspeed_config()
    try:
        yield
    finally:
        if config is not None:
            deepspeed.set_hf_deepspeed_config(config)
