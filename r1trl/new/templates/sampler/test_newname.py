"""What the sampler promises."""

from datasets import Dataset
from newname import Newname


def test_only_the_shortest_prompts_are_chosen_and_always_the_same() -> None:
    rows = Dataset.from_dict({"prompt": ["a", "a longer one", "b", "another longer one"]})
    chosen = Newname(share=0.5).choose(rows, 20, step=3, seed=1)
    assert set(chosen) == {0, 2}
    assert len(chosen) == 20
    assert Newname(share=0.5).choose(rows, 20, step=3, seed=1) == chosen
