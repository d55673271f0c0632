"""Gates: samplers that refuse groups of completions, which are then not trained on."""

from r1trl import Group, RewardName


class Dynamic:
    """Refuse groups without signal: those whose completions all have the same total reward.

    Their advantages are 0, so they cost a rollout and teach nothing. They are replaced by fresh
    prompts for up to `rounds` rounds, then by repeating admitted groups (dynamic sampling, DAPO,
    arXiv 2503.14476, section 3.2). Totals within `tolerance` count as equal.
    """

    def __init__(self, *, rounds: int = 3, tolerance: float = 1e-6) -> None:
        if rounds < 0:
            raise ValueError(f"rounds must be 0 or more, not {rounds}")
        self.rounds, self.tolerance = rounds, tolerance

    def admit(self, group: Group) -> bool:
        """Return True if the totals differ; completions without a total do not count."""
        totals = [total for total in group.totals if total is not None]
        return bool(totals) and max(totals) - min(totals) > self.tolerance


class RewardRange:
    """Refuse groups whose mean of a reward is under `min_mean` or over `max_mean`.

    `reward` names one of the stage's rewards; None takes the weighted sum. A group without any
    value is refused. Refused groups are replaced for up to `rounds` rounds. Raises ValueError if
    neither bound is given.
    """

    def __init__(
        self,
        *,
        min_mean: float | None = None,
        max_mean: float | None = None,
        reward: RewardName | None = None,
        rounds: int = 3,
    ) -> None:
        if min_mean is None and max_mean is None:
            raise ValueError("reward_range needs a bound: min_mean or max_mean")
        self.min_mean, self.max_mean, self.reward, self.rounds = min_mean, max_mean, reward, rounds

    def admit(self, group: Group) -> bool:
        """Return True if the mean is in the range; raise ValueError on an unknown reward."""
        values = [value for value in reward_values(group, self.reward) if value is not None]
        if not values:
            return False
        mean = sum(values) / len(values)
        low = self.min_mean is not None and mean < self.min_mean
        return not low and not (self.max_mean is not None and mean > self.max_mean)


def reward_values(group: Group, reward: str | None) -> list[float | None]:
    """Return a reward's value of each completion, or the weighted sums if `reward` is None.

    Raises ValueError if the stage has no such reward.
    """
    if reward is None:
        return list(group.totals)
    if reward not in group.rewards:
        available = ", ".join(group.rewards)
        raise ValueError(f"no reward of the stage is called '{reward}'; there are: {available}")
    return list(group.rewards[reward])
