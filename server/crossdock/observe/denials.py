"""Writes down who was turned away at the door: into the log of the process and the call log.

Somebody who tries again and again gets a line at once and then one for each minute, with how often
it was. Never what was shown.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address

from crossdock.errors import Denied
from crossdock.log import logger
from crossdock.model import Struct
from crossdock.store import AuditEntry

log = logger(__name__)
_ELSEWHERE = "elsewhere"


class Denial(Struct, frozen=True):
    """What denials have in common that share a line: from where, at which door, and why."""

    address: str
    door: str
    reason: str
    server_id: str | None = None
    account_id: str | None = None


class _Burst:
    """How often since the last line, which was at `told`."""

    __slots__ = ("again", "told")

    def __init__(self, told: datetime) -> None:
        self.told = told
        self.again = 0


class Denials:
    """Joins denials into lines. Call `settle` every now and then.

    At most `most` are told apart within `seconds`; those beyond share the address "elsewhere".
    """

    def __init__(
        self,
        note: Callable[[AuditEntry], None],
        clock: Callable[[], datetime],
        *,
        seconds: float = 60.0,
        most: int = 200,
    ) -> None:
        self._note = note
        self._clock = clock
        self._period = timedelta(seconds=seconds)
        self._most = most
        self._bursts: dict[Denial, _Burst] = {}

    def note(self, door: str, denied: Denied, address: IPv4Address | IPv6Address | None) -> None:
        """Take a denial: the first of its kind is written down at once."""
        where = "unknown" if address is None else str(address)
        denial = Denial(where, door, denied.reason, *(denied.about or ()))
        if denial not in self._bursts and len(self._bursts) >= self._most:
            denial = Denial(_ELSEWHERE, door, denied.reason)
        burst = self._bursts.get(denial)
        if burst is None:
            self._bursts[denial] = _Burst(self._clock())
            self._write(denial, 1)
        else:
            burst.again += 1

    def settle(self, *, ending: bool = False) -> None:
        """Write down how often bursts went on, and forget those that did not."""
        now = self._clock()
        for denial, burst in [*self._bursts.items()]:
            if not ending and now - burst.told < self._period:
                continue
            if burst.again:
                self._write(denial, burst.again)
                burst.told, burst.again = now, 0
            else:
                del self._bursts[denial]

    def _write(self, denial: Denial, times: int) -> None:
        log.warning(
            "door.denied",
            address=denial.address,
            door=denial.door,
            reason=denial.reason,
            server=denial.server_id,
            times=times,
        )
        self._note(
            AuditEntry(
                time=self._clock(),
                kind="door",
                actor=denial.server_id or "unknown",
                action=f"{denial.door}.denied",
                outcome=denial.reason,
                account_id=denial.account_id,
                server_id=denial.server_id,
                target=None if times == 1 else f"{times} times",
                address=denial.address,
            )
        )
