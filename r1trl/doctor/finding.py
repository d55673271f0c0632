"""What the doctor finds: a state, what it is about, and a sentence with numbers."""

from typing import Literal, NamedTuple

State = Literal["ok", "note", "wrong"]
GIB = 1 << 30


class Finding(NamedTuple):
    """One thing that was looked at; where it is wrong, the text begins with the key."""

    state: State
    what: str
    text: str

    @property
    def line(self) -> str:
        """Return it as a line of the table."""
        return f"{self.state:5}  {self.what:10}  {self.text}"
