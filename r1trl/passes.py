"""The passes over completions that training needs: their log-probabilities, nothing computed twice.

TRL pads every row to the longest prompt and the longest completion of the whole rollout, and reads
a prompt anew for each of its completions. Here rows are passed through the model a few at a time,
as long as they are, and what is found is put back where TRL expects it. Nothing that follows a
token is seen by a causal model, so rows that end at different places need no attention mask. Where
completions share prompts, every prompt is read once, and completions go on from its keys and
values, through which gradients flow back into it.
"""

from typing import Any

import torch

from r1trl.prefixes import Prefixes
from r1trl.texts import Found, Texts, parts


def log_probabilities(model: Any, texts: Texts, most: int, together: bool) -> Found:
    """Return the log-probability of each token of completions, and the entropy before it.

    `model` is one that TRL has given its `fused_lm_head`; where it tells no entropies they are
    None. Both are (rows, keep) and 0 where no token is. At most `most` rows are passed at once.
    `together` says that a pass is something that all processes do at once: there are then as many
    of them as rows divided by `most`, whatever is in the rows.
    """
    prefixes = None if together else Prefixes.of(model, texts)
    lengths = texts.completions + (0 if prefixes else texts.prompts)
    order = lengths.argsort(descending=True, stable=True)
    found = []
    for rows in parts(order, lengths.tolist(), most, not together):
        passed = prefixes.passed(texts, rows) if prefixes else _passed(model, texts.of(rows))
        found.append(passed)
    back = order.argsort()
    entropies = [entropy for _, entropy in found if entropy is not None]
    logps = torch.cat([logps for logps, _ in found]).index_select(0, back)
    return logps, torch.cat(entropies).index_select(0, back) if entropies else None


def _passed(model: Any, texts: Texts) -> Found:
    """Pass rows through the model from their first token on."""
    prompts, completions = texts.prompts, texts.completions
    count = max(1, int((prompts + completions).max()) - 1)  # the last tells of none
    ids = texts.at(texts.width - prompts, count + 1)
    columns = torch.arange(count, device=ids.device) + 1
    asked = (columns >= prompts[:, None]) & (columns < (prompts + completions)[:, None])
    labels = ids[:, 1:].masked_fill(~asked, -100)
    out = model(input_ids=ids[:, :-1], shift_labels=labels, fused_lm_head=True)
    return _placed(out, prompts - 1, texts)


def _placed(out: Any, begin: torch.Tensor, texts: Texts) -> Found:
    """Put what a model says from the column `begin` on where the completions are."""
    columns = torch.arange(texts.keep, device=begin.device)
    places = (begin[:, None] + columns).clamp(max=out.log_probs.shape[1] - 1)
    there = texts.mask[:, texts.width :].bool()
    logps = out.log_probs.gather(1, places).masked_fill(~there, 0.0)
    if out.entropy is None:
        return logps, None
    return logps, out.entropy.gather(1, places).masked_fill(~there, 0.0)


def without_silent(
    model: Any, texts: Texts, most: int, together: bool, silent: torch.Tensor | None
) -> Found:
    """Return log-probabilities and entropies to learn from, with no pass over silent rows.

    A silent row has no advantage. Its log-probabilities are 0, which moves nothing; its entropies
    are the mean of the others', so that the mean over all is theirs.
    """
    if silent is None or not silent.any():
        return log_probabilities(model, texts, most, together)
    heard = (~silent).nonzero().squeeze(1)
    if not len(heard):
        heard = texts.completions.argmin()[None]  # one row, so that there is a gradient, of zeros
    own, size = texts.of(heard), (len(silent), texts.keep)
    logps, entropies = log_probabilities(model, own, most, together)
    assert entropies is not None
    mean = entropies.sum() / own.completions.sum().clamp(min=1)
    return (
        logps.new_zeros(size).index_copy(0, heard, logps),
        entropies.new_zeros(size).add(mean).index_copy(0, heard, entropies),
    )


def dealt(batches: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Deal the rows of micro-batches anew, so that those with the same prompt are together.

    The sum of their gradients is the same where every row counts alike.
    """
    names = [n for n, value in batches[0].items() if torch.is_tensor(value) and value.dim()]
    whole = {name: torch.cat([batch[name] for batch in batches]) for name in names}
    _, group = torch.unique(whole["prompt_ids"], dim=0, return_inverse=True)
    longest = whole["completion_mask"].shape[1] + 1
    order = (group * longest + whole["completion_mask"].sum(1)).argsort(stable=True)
    split = {name: value[order].chunk(len(batches)) for name, value in whole.items()}
    return [batch | {name: split[name][i] for name in names} for i, batch in enumerate(batches)]
