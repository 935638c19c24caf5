"""Writes down every verb of operators with its outcome, also one that was refused.

Only ids of records that were found are noted: what else stood in a request may be a secret in a
wrong place.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any

import msgspec

from crossdock.access.gate import Caller
from crossdock.errors import CrossdockError, Refused, Rejected
from crossdock.model import Secret
from crossdock.store import AuditEntry

_LONGEST = 300  # of a value in JSON


class AuditedVerb:
    """What the line of a verb will say it was about; filled in as records are found."""

    __slots__ = ("account_id", "changes", "server_id", "target")

    def __init__(self) -> None:
        self.changes: dict[str, Any] | None = None
        self.account_id: str | None = None
        self.server_id: str | None = None
        self.target: str | None = None


class Audited:
    """Notes verbs: `with audited(actor, "server.create") as verb:`."""

    def __init__(self, note: Callable[[AuditEntry], None], clock: Callable[[], datetime]) -> None:
        self._note = note
        self._clock = clock

    def refused(self, actor: Caller, action: str, refused: Refused) -> None:
        """Note a verb that was refused before it was begun, unless it is noted."""
        if not refused.noted:
            with suppress(Refused), self(actor, action):
                raise Rejected(refused.status, refused.error, "")

    @contextmanager
    def __call__(self, actor: Caller, action: str) -> Iterator[AuditedVerb]:
        """Note what happens inside as one verb; what it raises is its outcome."""
        verb, outcome = AuditedVerb(), "internal"
        try:
            yield verb
            outcome = "ok"
        except Rejected as rejected:
            outcome, rejected.noted = rejected.error, True
            raise
        except CrossdockError as error:
            outcome = error.kind
            raise
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        finally:
            self._note(
                AuditEntry(
                    time=self._clock(),
                    kind="admin",
                    actor=actor.id,
                    action=action,
                    outcome=outcome,
                    account_id=verb.account_id,
                    server_id=verb.server_id,
                    target=verb.target,
                    address=actor.address,
                    changes=verb.changes or None,
                )
            )


def changed_fields(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Return {field: [old, new]} of the fields that differ; null where there is none.

    Of a Secret stands no more than that it is there, and a long value is cut.
    """
    return {
        name: [_noted(before.get(name)), _noted(after.get(name), before.get(name))]
        for name in dict.fromkeys([*before, *after])
        if before.get(name) != after.get(name)
    }


def _noted(value: Any, before: Any = None) -> Any:
    if isinstance(value, Secret):
        return "set" if before is None else "replaced"
    text = msgspec.json.encode(value).decode()
    if len(text) <= _LONGEST:
        return msgspec.to_builtins(value)
    return f"{text[:_LONGEST]}… ({len(text):,} characters)"
