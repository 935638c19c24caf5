"""A node's clock beside the store's: what ends by one must not have been made by another.

Expiry is judged by a node's own clock. One that is far from the store's, and so from those of the
other nodes, would make things that are over too early there, or too late.
"""

from __future__ import annotations

from crossdock.errors import Refused

_TOLD = 2.0
_REFUSED = 30.0


class Skewed(Refused):
    """The clock of this node is too far from the store's to make anything that ends."""

    error = "clock"
    retry_after = 60


class NodeClock:
    """How many seconds this node's clock is ahead of the store's; 0 until they are compared."""

    def __init__(self) -> None:
        self.ahead = 0.0

    @property
    def trouble(self) -> str:
        """What is wrong, for whoever has to mend it; empty when all is well."""
        if abs(self.ahead) <= _TOLD:
            return ""
        way = "ahead of" if self.ahead > 0 else "behind"
        return (
            f"This node's clock is {abs(self.ahead):.0f} s {way} PostgreSQL's. Let one time "
            "service set the clocks of all nodes and of the database."
        )

    def mint(self) -> None:
        """Raise Skewed while nothing may be made here that ends at some moment."""
        if abs(self.ahead) > _REFUSED:
            raise Skewed(503, f"{self.trouble} Until then nothing is made here that expires.")
