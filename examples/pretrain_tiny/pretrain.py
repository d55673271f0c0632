"""Pretrain a base model of the tiny world from random weights: how the shipped weights are made.

    python examples/pretrain_tiny/pretrain.py base      plugins/r1trl_tiny/models/base
    python examples/pretrain_tiny/pretrain.py student   plugins/r1trl_tiny/models/student

The corpus is generated (tiny_corpus.py), the tokenizer is trained on it, and a Qwen2 of the
given size is trained on it as a language model. Everything is seeded.
"""

import argparse
import json
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from tiny_corpus import END, documents
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GenerationConfig, PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{%- if message.role == 'assistant' -%}"
    "{% generation %}{{ message.content }}<|end|>{% endgeneration %}"
    "{%- elif message.role == 'system' -%}{{ message.content }} "
    "{%- else -%}User: {{ message.content }} Assistant:{%- endif -%}"
    "{%- endfor -%}"
)
TAGS = ("<think>", "</think>", "<answer>", "</answer>")
PAD, CONTEXT = "<|pad|>", 512
IDEOGRAPH = r"[\u4e00-\u9fff]"


@dataclass(frozen=True)
class Size:
    """The hidden size, layers and heads of a model, and how many documents it is trained on."""

    width: int
    depth: int
    heads: int
    documents: int


SIZES = {"base": Size(128, 4, 4, 400_000), "student": Size(96, 3, 4, 100_000)}


def make_tokenizer(seed: int) -> PreTrainedTokenizerFast:
    """Return a trained byte-level BPE tokenizer whose tokens are words and Chinese characters."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(IDEOGRAPH), "isolated"),
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    texts = (document.text for document in islice(documents(seed), 20_000))
    trainer = trainers.BpeTrainer(
        vocab_size=640,
        special_tokens=[PAD, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    untagged = (text for whole in texts for text in split_tags(whole))
    tokenizer.train_from_iterator(untagged, trainer)
    tokenizer = keep_spaces_apart(tokenizer)
    tokenizer.add_tokens([AddedToken(tag, normalized=False) for tag in TAGS])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=PAD,
        unk_token=PAD,  # never used; without it transformers adds a token that the model lacks
        padding_side="left",
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
    )


def keep_spaces_apart(tokenizer: Tokenizer) -> Tokenizer:
    """Return a tokenizer without merges of spaces and newlines alone.

    A Qwen2's tokenizer is loaded as transformers' own, which splits texts elsewhere around them:
    without such merges both make the same tokens.
    """
    content = json.loads(tokenizer.to_str())
    merges = content["model"]["merges"]
    content["model"]["merges"] = [pair for pair in merges if set("".join(pair)) - {"Ġ", "Ċ"}]
    return Tokenizer.from_str(json.dumps(content))


def split_tags(text: str) -> list[str]:
    """Return the parts of a text between tags, so that no merge spans a tag."""
    for tag in TAGS:
        text = text.replace(tag, "\0")
    return text.split("\0")


def make_model(size: Size, tokenizer: PreTrainedTokenizerFast) -> Qwen2ForCausalLM:
    """Return a Qwen2 with random weights."""
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=size.width,
        intermediate_size=3 * size.width,
        num_hidden_layers=size.depth,
        num_attention_heads=size.heads,
        num_key_value_heads=size.heads,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return Qwen2ForCausalLM(config)


def batches(tokenizer: PreTrainedTokenizerFast, seed: int, count: int, size: int):
    """Yield padded batches of `size` documents of similar length, at least `count` in all."""
    stream = documents(seed)
    while count > 0:
        pool = [document.text + END for document in islice(stream, 32 * size)]
        rows = sorted((ids for ids in tokenizer(pool)["input_ids"] if len(ids) <= CONTEXT), key=len)
        chunks = [rows[i : i + size] for i in range(0, len(rows), size)]
        for index in torch.randperm(len(chunks)).tolist():
            yield pad(chunks[index], tokenizer.pad_token_id)
        count -= len(rows)


def pad(rows: list[list[int]], pad_id: int) -> dict[str, torch.Tensor]:
    """Return right-padded int64 tensors (rows, longest): ids, mask, labels (-100 if padding)."""
    width = max(map(len, rows))
    ids = torch.tensor([row + [pad_id] * (width - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    return {"input_ids": ids, "attention_mask": mask, "labels": ids.masked_fill(mask == 0, -100)}


def train(
    model: Qwen2ForCausalLM, tokenizer, size: Size, seed: int, batch: int, peak: float
) -> None:
    """Train with AdamW, a short warm-up and a cosine schedule down to a tenth of `peak`."""
    steps = size.documents // batch
    optimizer = torch.optim.AdamW(model.parameters(), lr=peak, weight_decay=0.01, betas=(0.9, 0.98))
    warmup = torch.optim.lr_scheduler.LinearLR(optimizer, 0.01, total_iters=100)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps - 100, eta_min=peak / 10)
    schedule = torch.optim.lr_scheduler.SequentialLR(optimizer, [warmup, cosine], [100])
    start, total = time.monotonic(), 0.0
    for step, rows in enumerate(batches(tokenizer, seed, size.documents, batch), 1):
        loss = model(**rows).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        total += loss.item()
        if step % 200 == 0:
            print(
                f"step {step}/{steps} loss {total / 200:.3f} {time.monotonic() - start:.0f}s",
                flush=True,
            )
            total = 0.0


def main() -> None:
    """Make the tokenizer and the model, train, and save both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("size", choices=SIZES)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--lr", type=float, default=2e-3)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    size, tokenizer = SIZES[args.size], make_tokenizer(args.seed)
    model = make_model(size, tokenizer)
    print(json.dumps({"parameters": model.num_parameters(), "vocabulary": len(tokenizer)}))
    train(model, tokenizer, size, args.seed + 1, args.batch, args.lr)
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, do_sample=True
    )
    model.save_pretrained(args.folder)
    tokenizer.save_pretrained(args.folder)


if __name__ == "__main__":
    main()
