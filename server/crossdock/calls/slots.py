"""How many calls run at once: through one MCP URL, for one account, and in all.

A call whose human is being asked holds no slot. It waits among others of its kind, who are counted
by themselves, and gets a slot again before it goes on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from crossdock.config import LimitSettings
from crossdock.errors import Busy
from crossdock.model import Grant

_RUNNING = "Too many calls are running at once; nothing was written. Try again shortly."
_ASKING = (
    "Too many calls wait for a human's answer; nothing was written. Try again when some of the "
    "questions have been answered."
)


class Slots:
    """Counts what runs and what waits for a human."""

    def __init__(self, limits: LimitSettings) -> None:
        self._limits = limits
        self._servers: Counter[str] = Counter()
        self._accounts: Counter[str] = Counter()
        self._asking: Counter[str] = Counter()
        self.running = 0
        self.asking = 0

    def enter(self, grant: Grant) -> Slot:
        """Take a slot, to be left when the answer is written. Raises Busy."""
        self.take(grant)
        return Slot(self, grant)

    def take(self, grant: Grant) -> None:
        """Count a call. Raises Busy."""
        limits = self._limits
        if (
            self.running >= limits.calls_in_all
            or self._servers[grant.server_id] >= limits.calls_per_server
            or self._accounts[grant.account_id] >= limits.calls_per_account
        ):
            raise Busy(_RUNNING)
        self.running += 1
        self._servers[grant.server_id] += 1
        self._accounts[grant.account_id] += 1

    def give_back(self, grant: Grant) -> None:
        """Count a call no longer."""
        self.running -= 1
        _less(self._servers, grant.server_id)
        _less(self._accounts, grant.account_id)

    def ask(self, grant: Grant) -> None:
        """Count a question. Raises Busy."""
        limits = self._limits
        if (
            self.asking >= limits.questions_in_all
            or self._asking[grant.server_id] >= limits.questions_per_server
        ):
            raise Busy(_ASKING)
        self.asking += 1
        self._asking[grant.server_id] += 1

    def asked(self, grant: Grant) -> None:
        """Count a question no longer."""
        self.asking -= 1
        _less(self._asking, grant.server_id)


class Slot:
    """One call's right to run."""

    __slots__ = ("_grant", "_held", "_slots")

    def __init__(self, slots: Slots, grant: Grant) -> None:
        self._slots = slots
        self._grant = grant
        self._held = True

    def leave(self) -> None:
        """Give the slot back; once is enough."""
        if self._held:
            self._held = False
            self._slots.give_back(self._grant)

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Within this a human is asked and the slot is others'. Raises Busy, before and after."""
        self._slots.ask(self._grant)
        try:
            self.leave()
            yield
        finally:
            self._slots.asked(self._grant)
        self._slots.take(self._grant)
        self._held = True


def _less(counter: Counter[str], key: str) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]
