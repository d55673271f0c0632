"""A model's own generation settings, which are saved with the model that is made from it."""

import re
from typing import Any

NAMED = re.compile(r"^- `(\w+)`:", re.MULTILINE)  # an attribute in the message of `validate`


def make_valid(settings: Any) -> list[str]:
    """Unset what transformers would refuse to save; return the names of what was unset.

    Published models have such settings, such as a temperature without `do_sample`: they can be
    loaded, and saved as they were loaded, but not once training has changed another one. What is
    unset is what `generate` does not read.
    """
    try:
        settings.validate(strict=True)
    except ValueError as error:
        unset = NAMED.findall(str(error))
        for name in unset:
            setattr(settings, name, None)
        return unset
    return []
