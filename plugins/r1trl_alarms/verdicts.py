"""The alarm for a reward that never has a verdict, so that training goes by the others alone."""

import re

from r1trl import Progress
from r1trl_alarms.alarm import Alarm, at_least_one

ABSTAINED = re.compile(r"outcome/(.+)/abstain")


class NoVerdict(Alarm):
    """Fail the stage when a reward has abstained on all samples of its first `window` loggings.

    Only samples that it applies to count (`where`, `from_step`). Its golds cannot be compared, such
    as GSM8K's with their worked solutions, and the other rewards alone are trained on.
    """

    def __init__(self, *, window: int = 3) -> None:
        self.window = at_least_one("window", window)

    def diagnose(self, progress: Progress) -> str | None:
        """Return which reward has had no verdict so far, or None."""
        names = {m[1] for metric in progress.latest if (m := ABSTAINED.fullmatch(metric))}
        for name in sorted(names):
            if any(row.get(f"rewards/{name}/mean") is not None for row in progress.history):
                continue
            shares = [row.get(f"outcome/{name}/abstain", 0.0) for row in progress.history]
            if sum(share >= 1 for share in shares) >= self.window:
                return (
                    f"the reward '{name}' has had no verdict on any sample up to step "
                    f"{progress.step}, because it cannot compare the golds (log.txt has one); "
                    "training goes by the other rewards alone"
                )
        return None
