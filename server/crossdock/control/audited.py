"""What all verbs of operators share: where records are kept, who is told, and what is written down.

Every verb is noted in the audit log with its outcome, also one that was refused. Only ids of
records that were found are noted: what else stood in a request may be a secret in a wrong place.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Protocol

from crossdock.access.gate import Caller
from crossdock.calls.accounts import Network, OpenAccounts
from crossdock.calls.catalog import Catalog, unknown_word
from crossdock.control.requests import check_lists, invalid
from crossdock.errors import CrossdockError, Rejected
from crossdock.model import Account, Scope
from crossdock.store import AuditEntry, Store

Note = Callable[[AuditEntry], None]
_ID = re.compile(r"[A-Za-z0-9_.-]{1,200}")


class Changed(Protocol):
    """Tells the door which record was written; in force when it returns."""

    async def __call__(
        self, *, account: str | None = None, server: str | None = None, token: str | None = None
    ) -> None: ...


class Line:
    """A line of the audit log in the making."""

    __slots__ = ("account_id", "server_id", "target")

    def __init__(self) -> None:
        self.account_id: str | None = None
        self.server_id: str | None = None
        self.target: str | None = None


class Desk:
    """Holds what the verbs work with."""

    def __init__(
        self,
        store: Store,
        catalog: Catalog,
        accounts: OpenAccounts,
        changed: Changed,
        verify: Callable[[Account], Awaitable[None]],
        note: Note,
        allow_private: Sequence[Network] = (),
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._catalog = catalog
        self._accounts = accounts
        self._changed = changed
        self._verify = verify
        self._note = note
        self._allow_private = tuple(allow_private)
        self._clock = clock

    @contextmanager
    def _audited(self, actor: Caller, action: str) -> Iterator[Line]:
        line, outcome = Line(), "internal"
        try:
            yield line
            outcome = "ok"
        except Rejected as rejected:
            outcome = rejected.error
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
                    account_id=line.account_id,
                    server_id=line.server_id,
                    target=line.target,
                )
            )

    def refuse_role(self, actor: Caller, action: str, role: str) -> None:
        """Refuse a verb to somebody whose role does not allow it. Raises Rejected (403)."""
        with self._audited(actor, action):
            raise Rejected(
                403,
                "forbidden",
                f"This needs the role {role}; the token has the role {actor.role}.",
            )

    def account(self, account_id: str) -> Account:
        """Return an account that can be used. Raises Rejected: 404, or 409 with the reason."""
        account = self._accounts.find(account_id)
        if account is not None:
            return account
        problem = self._accounts.problem(account_id)
        if problem is None:
            raise missing("integrated account", account_id)
        raise Rejected(
            409, "account_unusable", f"The account {account_id!r} cannot be used: {problem}."
        )

    def _check_words(self, account: Account, scope: Scope, place: str = "config.") -> None:
        """Refuse filters that are empty or misspelt. Raises Rejected (422)."""
        check_lists(scope, place)
        words = self._catalog.words(account)
        for index, word in enumerate(scope.methods or ()):
            if word not in words:
                raise invalid(
                    f"{place}methods[{index}]",
                    unknown_word(word, words),
                )

    def _knows_account(self, account_id: str) -> bool:
        accounts = self._accounts
        return accounts.find(account_id) is not None or accounts.problem(account_id) is not None


def can_be_id(text: str) -> bool:
    """Whether a record could have this id; everything else need not be looked for."""
    return _ID.fullmatch(text) is not None


def missing(what: str, id: str) -> Rejected:
    """Return the 404; an id that nothing can have is not repeated: it may be a secret."""
    named = f" {id!r}" if can_be_id(id) and not id.startswith(("cdm_", "cda_")) else " of this id"
    return Rejected(404, "not_found", f"There is no {what}{named}.")
