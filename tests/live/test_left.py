"""How long stages take that are to come: by their tokens, at the speed of stages before them."""

import pytest

from r1trl.live.left import seconds_of
from r1trl.report.state import RecordedStage

ZERO = RecordedStage("zero", "grpo", drawn=600, trained=400)
DEV2 = RecordedStage("dev2", "grpo", drawn=2000, trained=1000)
SFT = RecordedStage("sft", "sft", trained=500)
SAMPLES = RecordedStage("samples", "sample", drawn=300)
BOARD = RecordedStage("board", "evaluate", drawn=900)
OWN = RecordedStage("own", "mine")


@pytest.mark.parametrize(
    ("to_come", "timed", "seconds"),
    [
        ([DEV2], [(ZERO, 10)], 30),  # the same kind: 100 tokens a second
        ([DEV2], [(ZERO, 10), (SFT, 500)], 30),
        ([SFT], [(ZERO, 10), (SAMPLES, 300)], 5),  # one that trains too
        ([BOARD], [(ZERO, 10), (SAMPLES, 30)], 90),  # one that does not train either
        ([BOARD], [(ZERO, 10)], 9),  # any
        ([DEV2, BOARD], [(ZERO, 10), (SAMPLES, 30)], 120),
        ([DEV2], [(ZERO, 10), (OWN, 7)], 30),
        ([], [(ZERO, 10)], 0),
        ([OWN], [(ZERO, 10)], None),  # nobody knows how much it does
        ([DEV2], [(OWN, 10)], None),
        ([DEV2], [], None),
    ],
)
def test_a_token_takes_as_long_as_in_the_stages_most_alike(to_come, timed, seconds) -> None:
    assert seconds_of(to_come, timed) == seconds
