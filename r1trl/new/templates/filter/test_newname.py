"""What the filter promises."""

from datasets import Dataset
from newname import newname


def test_a_long_prompt_is_dropped_with_a_reason() -> None:
    rows = Dataset.from_dict({"prompt": ["two words", "a prompt of five words"]})
    assert newname(rows, max_words=4) == [None, "long prompt"]
