"""A reward in a package of its own; `pip install examples/acme_brevity` makes it available."""

import r1trl


@r1trl.verifier
def brevity(completion: str, *, longest: int = 40) -> float:
    """Return 1 for an empty completion, falling to 0 for one of `longest` words or more."""
    return max(0.0, 1 - len(completion.split()) / longest)


@r1trl.hookimpl
def r1trl_rewards():
    """Offer `brevity`."""
    return {"brevity": brevity}
