"""What operators do: accounts, servers, tokens, keys. One implementation for admin API and CLI."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from crossdock.access.gate import Caller
from crossdock.access.sync import Sync
from crossdock.calls.accounts import OpenAccounts
from crossdock.calls.catalog import Catalog
from crossdock.calls.dialing import Network
from crossdock.control.accounts import AccountControl
from crossdock.control.audited import Audited
from crossdock.control.connecting import CALLBACK, Connecting, Exchange
from crossdock.control.keys import KeyControl
from crossdock.control.requests import (
    AcceptTools,
    AccountChange,
    NewAccount,
    NewServer,
    NewToken,
    Rotate,
    ServerChange,
    convert,
    field_error,
    invalid,
)
from crossdock.control.responses import Issued, issued_server, shown_server
from crossdock.control.servers import ServerControl
from crossdock.control.tokens import TokenControl
from crossdock.errors import Refused, Rejected
from crossdock.model import Account
from crossdock.store import AuditEntry, Store

__all__ = [
    "CALLBACK",
    "AcceptTools",
    "AccountChange",
    "Control",
    "Issued",
    "NewAccount",
    "NewServer",
    "NewToken",
    "Rotate",
    "ServerChange",
    "convert",
    "field_error",
    "invalid",
    "issued_server",
    "shown_server",
]


class Control:
    """The control plane: an object for each kind of record, on the store.

    What a verb wrote is in force when it returns. `verify` makes an adapter's verification call,
    `exchange` changes a code into credentials, `note` takes a line of the audit log, `mint` raises
    where nothing that expires may be made.
    """

    def __init__(
        self,
        store: Store,
        sync: Sync,
        catalog: Catalog,
        accounts: OpenAccounts,
        *,
        verify: Callable[[Account], Awaitable[None]],
        exchange: Exchange,
        note: Callable[[AuditEntry], None],
        allow_private: Sequence[Network],
        clock: Callable[[], datetime],
        mint: Callable[[], None],
    ) -> None:
        self._audited = Audited(note, clock)
        self._sync = sync if store.shared else None
        self.accounts = AccountControl(
            store.accounts,
            sync,
            catalog,
            accounts,
            self._audited,
            verify=verify,
            allow_private=allow_private,
        )
        self.connecting = Connecting(
            self.accounts,
            catalog,
            self._audited,
            key=store.keys.ring.state_key,
            use=store.approvals.use,
            exchange=exchange,
            clock=clock,
        )
        self.servers = ServerControl(
            store.servers,
            sync,
            catalog,
            self.accounts,
            self._audited,
            tokens=store.api_tokens,
            pepper=store.keys.ring.pepper,
            clock=clock,
            mint=mint,
        )
        self.tokens = TokenControl(
            store.api_tokens,
            sync,
            self._audited,
            pepper=store.keys.ring.pepper,
            clock=clock,
            mint=mint,
        )
        self.keys = KeyControl(store, self._audited)

    async def catch_up(self) -> None:
        """Know what other processes that serve have written until now. Raises StoreError.

        An operator's requests may go to another one each time.
        """
        if self._sync is not None:
            await self._sync.catch_up_soon()

    def note_refused(self, actor: Caller, action: str, refused: Refused) -> None:
        """Write down a verb that was refused before it was begun."""
        self._audited.refused(actor, action, refused)

    def refuse_role(self, actor: Caller, action: str, role: str) -> None:
        """Refuse a verb to somebody whose role does not allow it. Raises Rejected (403)."""
        with self._audited(actor, action):
            raise Rejected(
                403,
                "forbidden",
                f"This needs the role {role}; the token has the role {actor.role}.",
            )
