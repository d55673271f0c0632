"""The guard `refuse`: what is unsafe is replaced by a refusal before the user sees it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import r1trl
from r1trl import Completion, Policy, RewardName

END = "</think>"
HAN = re.compile(r"[\u4e00-\u9fff]")
KEYWORDS = [
    *("poison", "bomb", "explosive", "weapon", "kill", "murder", "suicide", "hurt", "steal"),
    *("break into", "hack", "malware", "ransomware", "drug", "launder", "fire"),
    *("毒", "炸", "武器", "杀", "打", "偷", "别人的家", "黑客", "洗钱", "火"),
]
TEXTS = {"en": "Sorry, I cannot help with that.", "zh": "对不起，我不能帮助你。"}


class Refuse:
    """Replace an unsafe completion by a refusal, of `texts`: in Chinese if its prompt is.

    The two steps of DeepSeek-R1's risk control (arXiv 2501.12948v2, D.3.1). A completion with one
    of `keywords`, in its prompt or in itself, goes to the `judge`, a reward of the stage, which
    scores its `parts` apart, thinking and answer; if one scores below `min_score`, or the judge
    fails on it, the completion is unsafe. Without a judge a keyword is enough; without keywords
    everything is judged. A judge reads the part only if it has `text: response`, as with
    `reward_model`, or with `llm_judge` and numbered clauses as its `instructions`.
    """

    def __init__(
        self,
        *,
        judge: RewardName | None = None,
        min_score: float = 0.5,
        keywords: list[str] = KEYWORDS,
        parts: list[Literal["thinking", "answer"]] = ["thinking", "answer"],  # noqa: B006
        texts: dict[str, str] = TEXTS,
    ) -> None:
        if judge is None and not keywords:
            raise ValueError("give a judge, keywords, or both: nothing would be refused")
        if not parts or not {"en", "zh"} <= texts.keys():
            raise ValueError("parts must name thinking, answer or both; texts need en and zh")
        self.judge, self.min_score, self.parts, self.texts = judge, min_score, parts, texts
        self.keywords = _any_of(keywords) if keywords else None

    def generate(self, completions: Sequence[Completion], policy: Policy) -> list[Completion]:
        """Return each completion, or a refusal in its place, which costs what was generated."""
        done = policy.generate(completions)
        unsafe = self._unsafe(done, [i for i, c in enumerate(done) if self._suspect(c)], policy)
        return [self._refusal(c, policy) if i in unsafe else c for i, c in enumerate(done)]

    def _suspect(self, completion: Completion) -> bool:
        text = completion.prompt + completion.text
        return self.keywords is None or self.keywords.search(text) is not None

    def _unsafe(
        self, completions: Sequence[Completion], suspects: Sequence[int], policy: Policy
    ) -> set[int]:
        """Return the indices of unsafe completions, among the suspects."""
        if self.judge is None:
            return set(suspects)
        judged, owners = [], []
        for i in suspects:
            parts = parts_of(completions[i])
            texts = [parts[name] for name in self.parts if parts[name]]
            blank = replace(completions[i], text="", token_ids=())
            judged += [policy.append(blank, text) for text in texts]
            owners += [i] * len(texts)
        scores = policy.score(judged, self.judge)
        pairs = zip(owners, scores, strict=True)
        return {i for i, score in pairs if score is None or score < self.min_score}

    def _refusal(self, completion: Completion, policy: Policy) -> Completion:
        """Return a finished completion that refuses, with the cost of the one it replaces."""
        text = self.texts["zh" if HAN.search(completion.prompt) else "en"]
        if r1trl.with_prefill(completion.prompt, ""):
            text = f"{END}\n\n{text}"
        blank = replace(completion, text="", token_ids=(), stop_reason=None)
        return replace(policy.append(blank, text), finished=True)


def parts_of(completion: Completion) -> Mapping[str, str]:
    """Return the thinking and the answer of a completion as texts that follow its prompt.

    Empty if there is none; thinking that has not ended has no answer after it.
    """
    opened = bool(r1trl.with_prefill(completion.prompt, ""))
    head, end, tail = completion.text.rpartition(END)
    if end:
        return {"thinking": head + end, "answer": END * opened + tail if tail.strip() else ""}
    thinks = opened or r1trl.final_part(completion.text) is None
    return {
        "thinking": completion.text if thinks else "",
        "answer": "" if thinks else completion.text,
    }


def _any_of(keywords: Sequence[str]) -> re.Pattern[str]:
    r"""Return a pattern of words that begin with one of the keywords, and of Chinese ones anywhere.

    `\b` is no border between two Chinese characters.
    """
    words = ["" if HAN.match(word) else r"\b" for word in keywords]
    return re.compile(
        "|".join(w + re.escape(k) for w, k in zip(words, keywords, strict=True)), re.IGNORECASE
    )
