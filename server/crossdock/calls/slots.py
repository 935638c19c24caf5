"""How many calls run at once, and how many bytes their answers hold: for a URL, an account, in all.

A call whose human is being asked holds no slot. It waits among others of its kind, who are counted
by themselves, and gets a slot again before it goes on. A slot is held until the answer is written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from crossdock.config import LimitSettings
from crossdock.errors import Busy, UpstreamFailure
from crossdock.model import Grant

_RUNNING = "Too many calls are running at once; nothing was written. Try again shortly."
_HEAVY = (
    "The gateway holds as many large answers as it may; some are not read by their clients. "
    "Try again shortly, or ask for less."
)
_SMALL = 65_536  # bytes of an answer that nobody counts
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
        self._bytes: Counter[str] = Counter()
        self.bytes = 0
        self.running = 0
        self.asking = 0

    def enter(self, grant: Grant) -> Slot:
        """Take a slot, to be left when the answer is written. Raises Busy."""
        if self.full(grant):
            raise Busy(f"{_HEAVY} Nothing was written.")
        self.take(grant)
        return Slot(self, grant)

    def full(self, grant: Grant) -> bool:
        """Whether the answers of this server, or of all, hold as many bytes as they may."""
        limits = self._limits
        held = self._bytes
        return (
            self.bytes >= limits.answers_bytes_in_all
            or held.get(grant.server_id, 0) >= limits.answers_bytes_per_server
        )

    def weigh(self, grant: Grant, more: int) -> None:
        """Count bytes of answers; less than none are freed."""
        self.bytes += more
        self._bytes[grant.server_id] += more
        if not self._bytes[grant.server_id]:
            del self._bytes[grant.server_id]

    def take(self, grant: Grant) -> None:
        """Count a call. Raises Busy."""
        limits = self._limits
        if (
            self.running >= limits.calls_in_all
            or self._servers.get(grant.server_id, 0) >= limits.calls_per_server
            or self._accounts.get(grant.account_id, 0) >= limits.calls_per_account
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
    """One call's right to run, and to hold an answer."""

    __slots__ = ("_bytes", "_grant", "_held", "_slots")

    def __init__(self, slots: Slots, grant: Grant) -> None:
        self._slots = slots
        self._grant = grant
        self._held = True
        self._bytes = 0

    def leave(self) -> None:
        """Give the slot back, and all bytes; once is enough."""
        self.weigh(0)
        if self._held:
            self._held = False
            self._slots.give_back(self._grant)

    def weigh(self, size: int) -> None:
        """Say how many bytes the call holds now."""
        size = size if size > _SMALL else 0
        if size != self._bytes:
            self._slots.weigh(self._grant, size - self._bytes)
            self._bytes = size

    def read(self, size: int, status: int) -> None:
        """Make room for more bytes of a provider's answer. Raises UpstreamFailure (busy)."""
        if self._slots.full(self._grant):
            raise UpstreamFailure("busy", _HEAVY, status=status, retryable=True)
        self._slots.weigh(self._grant, size)
        self._bytes += size

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
