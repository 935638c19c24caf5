"""Connecting an account: a person lets the gateway in at the provider, by OAuth's code with PKCE.

Nothing is kept meanwhile. What leads back is a signed `state`: for one account, from one starter,
good once and for ten minutes; the PKCE verifier is derived from it and from a key that stays here.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import msgspec

from crossdock.access.gate import Caller
from crossdock.calls.catalog import Catalog
from crossdock.control.accounts import AccountControl
from crossdock.control.audited import Audited
from crossdock.control.requests import AccountChange
from crossdock.control.responses import ShownConnecting
from crossdock.errors import CrossdockError, Rejected, UpstreamFailure
from crossdock.model import Account, Code
from crossdock.signing import Seal

CALLBACK = "/connect/callback"
_LIFE = timedelta(minutes=10)
_LONGEST = 2_048
_RANK = ("operator", "owner")

Exchange = Callable[[Account, Code], Awaitable[Mapping[str, str]]]
"""Changes a code into credentials at the provider of an account. Raises UpstreamFailure."""


class _State(msgspec.Struct, frozen=True, array_like=True):
    account: str
    starter: str
    redirect: str
    ends: float
    nonce: bytes


class Connecting:
    """Starts connections and takes what comes back."""

    def __init__(
        self,
        accounts: AccountControl,
        catalog: Catalog,
        audited: Audited,
        *,
        key: bytes,
        use: Callable[[bytes, datetime], Awaitable[bool]],
        exchange: Exchange,
        clock: Callable[[], datetime],
    ) -> None:
        self._accounts = accounts
        self._catalog = catalog
        self._audited = audited
        self._seal = Seal(key, "connect", _LONGEST)
        self._key = key
        self._use = use
        self._exchange = exchange
        self._clock = clock

    async def start(self, account_id: str, origin: str, actor: Caller) -> ShownConnecting:
        """Return the URL at which a person lets this account in. Raises Rejected."""
        with self._audited(actor, "account.connect.start") as verb:
            account = self._accounts.connectable(account_id)
            verb.account_id = account.id
            auth = self._catalog.adapters[account.integration].manifest.auth
            if auth.authorize is None:
                raise Rejected(
                    409, "not_connectable", f"{account.integration} declares no [auth.authorize]."
                )
            ends = self._clock() + _LIFE
            state = _State(
                account.id, actor.id, f"{origin}{CALLBACK}", ends.timestamp(), os.urandom(16)
            )
            challenge = hashlib.sha256(self._verifier(state.nonce).encode()).digest()
            asked = {
                **auth.authorize.extra,
                "response_type": "code",
                "client_id": account.credentials["client_id"].reveal(),
                "redirect_uri": state.redirect,
                **({"scope": auth.authorize.scope} if auth.authorize.scope else {}),
                "state": self._seal.close(msgspec.msgpack.encode(state)),
                "code_challenge": _text(challenge),
                "code_challenge_method": "S256",
            }
            mark = "&" if "?" in auth.authorize.url else "?"
            return ShownConnecting(
                url=f"{auth.authorize.url}{mark}{urlencode(asked)}",
                redirect_uri=state.redirect,
                expires_at=ends,
            )

    async def finish(
        self,
        text: str,
        code: str,
        refused: str,
        holder: Callable[[str], Caller | None],
        address: str | None,
    ) -> str:
        """Take what the provider sent a person back with; return the account's id.

        `holder` finds who started by the id of their API token: it must still be good. Raises
        Rejected in words for the person.
        """
        state = self._opened(text)
        starter = holder(state.starter)
        if starter is None or starter.role not in _RANK:
            raise Rejected(403, "starter_gone", "Who started this may not connect accounts now.")
        starter = msgspec.structs.replace(starter, address=address)
        with self._audited(starter, "account.connect") as verb:
            account = self._accounts.connectable(state.account)
            verb.account_id = account.id
            if not await self._use(state.nonce, datetime.fromtimestamp(state.ends, UTC)):
                raise Rejected(409, "state_used", "This link was used before. Start again.")
            if refused or not code:
                raise Rejected(409, "consent_refused", "The provider did not let the account in.")
            given = Code(code=code, verifier=self._verifier(state.nonce), redirect=state.redirect)
            try:
                credentials = await self._exchange(account, given)
            except UpstreamFailure as failure:
                raise Rejected(
                    502, "exchange_failed", f"The provider did not take its own code: {failure}"
                ) from None
            except CrossdockError as error:
                raise Rejected(409, "exchange_failed", str(error)) from None
            change = AccountChange(credentials=dict(credentials))
            await self._accounts.change(account.id, change, starter)
        return account.id

    def _opened(self, text: str) -> _State:
        opened = self._seal.open(text)
        if opened is None:
            raise Rejected(400, "unknown_state", "This link was not made here. Start again.")
        state = msgspec.msgpack.decode(opened, type=_State)
        if self._clock().timestamp() >= state.ends:
            raise Rejected(410, "state_expired", "This took more than ten minutes. Start again.")
        return state

    def _verifier(self, nonce: bytes) -> str:
        return _text(hmac.new(self._key, b"pkce\0" + nonce, hashlib.sha256).digest())


def _text(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()
