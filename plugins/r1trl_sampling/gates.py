"""Gates: which groups of completions are trained on."""

from r1trl import Group, RewardName


class Dynamic:
    """Refuse groups without signal: those whose completions all have the same reward.

    Their advantages are 0, so they cost a rollout and teach nothing. They are replaced by fresh
    prompts for up to `rounds` rounds, then by repeating groups that were admitted (dynamic
    sampling, DAPO, arXiv 2503.14476, section 3.2). Rewards within `tolerance` count as the same.
    """

    def __init__(self, *, rounds: int = 3, tolerance: float = 1e-6) -> None:
        if rounds < 0:
            raise ValueError(f"rounds must be 0 or more, not {rounds}")
        self.rounds, self.tolerance = rounds, tolerance

    def admit(self, group: Group) -> bool:
        """Admit a group whose rewards differ; samples without a reward do not count."""
        known = [reward for reward in group.rewards if reward is not None]
        return bool(known) and max(known) - min(known) > self.tolerance


class RewardRange:
    """Refuse groups whose mean of a reward is under `least` or over `most`.

    `reward` names one of the stage's rewards; None takes the weighted sum. A group without any
    value is refused. Refused groups are replaced for up to `rounds` rounds.
    """

    def __init__(
        self,
        *,
        least: float | None = None,
        most: float | None = None,
        reward: RewardName | None = None,
        rounds: int = 3,
    ) -> None:
        if least is None and most is None:
            raise ValueError("reward_range needs a bound: least or most")
        self.least, self.most, self.reward, self.rounds = least, most, reward, rounds

    def admit(self, group: Group) -> bool:
        """Admit a group whose mean is within the range; raise ValueError on an unknown reward."""
        known = [value for value in values_of(group, self.reward) if value is not None]
        if not known:
            return False
        mean = sum(known) / len(known)
        low = self.least is not None and mean < self.least
        return not low and not (self.most is not None and mean > self.most)


def values_of(group: Group, reward: str | None) -> list[float | None]:
    """Return a reward's values in a group, or the weighted sums."""
    if reward is None:
        return list(group.rewards)
    if reward not in group.values:
        there = ", ".join(group.values)
        raise ValueError(f"no reward of the stage is called '{reward}'; there are: {there}")
    return list(group.values[reward])
