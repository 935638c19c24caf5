"""Who listens for changes of the tools: older clients' streams and subscriptions/listen.

A listener is judged anew by the door when something of its own changed, when its server expires,
and now and then besides: its stream ends with the server or token it came through.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from datetime import datetime

from crossdock.authoring import Tool
from crossdock.errors import Refused
from crossdock.model import Change, Grant, Tools
from crossdock.protocol.jsonrpc import notification_bytes
from crossdock.protocol.replay import Stream

CHANGED_METHOD = "notifications/tools/list_changed"
CHANGED = notification_bytes(CHANGED_METHOD, b"{}")

_THOROUGH = 30
_AT_ONCE = 500
_SESSION = "session"


class Listener:
    """One stream that hears of changes. `session` is empty for a subscription."""

    def __init__(
        self,
        admit: Callable[[], Grant],
        stream: Stream,
        *,
        session: str = "",
        change: bytes | None = CHANGED,
        farewell: bytes | None = None,
    ) -> None:
        self._admit = admit
        self.stream = stream
        self._farewell = farewell
        self.change = change
        self.session = session
        self.grant = admit()
        self.over = False
        self.seen: tuple[Tool, ...] = ()

    @property
    def leans_on(self) -> Iterator[Change]:
        """What it stands under: a change of these may concern it, and no other."""
        yield "server", self.grant.server_id
        yield "account", self.grant.account_id
        if self.grant.second_factor is not None:
            yield "token", self.grant.second_factor
        if self.session:
            yield _SESSION, self.session

    def allowed(self) -> Grant | None:
        """Return what the listener's URL opens now; end it when that is nothing."""
        if self.over:
            return None
        try:
            self.grant = self._admit()
        except Refused:
            self.finish()
            return None
        return self.grant

    def push(self, message: bytes) -> None:
        """Send a message."""
        self.stream.push(message)

    def finish(self) -> None:
        """Say so and end the stream."""
        if self.over:
            return
        self.over = True
        if self._farewell is not None:
            self.stream.push(self._farewell)
        self.stream.end()


class Listeners:
    """All listeners, by what they stand under: a change costs those alone whom it may concern."""

    def __init__(
        self, tools: Tools, most_per_server: int, most: int, clock: Callable[[], datetime]
    ) -> None:
        self._tools = tools
        self._most_per_server = most_per_server
        self._most = most
        self._clock = clock
        self._all: dict[Listener, set[Change]] = {}
        self._under: defaultdict[Change, dict[Listener, None]] = defaultdict(dict)
        self._told: dict[str, tuple[Tool, ...]] = {}  # by session
        self._ends: dict[str, datetime] = {}  # by server
        self._due: dict[Listener, None] = {}
        self._later: asyncio.Handle | None = None
        self._thorough: list[Listener] = []
        self._share = 0
        self._closed = False

    def __len__(self) -> int:
        return len(self._all)

    def add(self, listener: Listener) -> None:
        """Tell this listener of changes from now on. Raises Refused (429, 503).

        After `close` its stream ends at once."""
        if self._closed:
            listener.finish()
            return
        grant = listener.allowed()
        if grant is None:
            return
        if len(self._all) >= self._most:
            raise Refused(503, "Too many streams are open on this gateway. Try again later.")
        if len(self._under.get(("server", grant.server_id), ())) >= self._most_per_server:
            raise Refused(429, "Too many streams are open at this URL. Close one first.")
        listener.seen = self._tools_of(grant)
        self._all[listener] = set()
        self._note(listener)

    def remove(self, listener: Listener) -> None:
        """Forget a listener."""
        self._due.pop(listener, None)
        for key in self._all.pop(listener, ()):
            del self._under[key][listener]
            if not self._under[key]:
                del self._under[key]
                self._forget(*key)

    def _note(self, listener: Listener) -> None:
        """Keep what the listener stands under, and when that expires."""
        for key in {*listener.leans_on} - self._all[listener]:
            self._all[listener].add(key)
            self._under[key][listener] = None
        grant = listener.grant
        self._ends.pop(grant.server_id, None)
        if grant.expires_at is not None:
            self._ends[grant.server_id] = grant.expires_at

    def _forget(self, kind: str, id: str) -> None:
        if kind == _SESSION:
            self._told.pop(id, None)
        elif kind == "server":
            self._ends.pop(id, None)

    def changed(self, changes: Collection[Change] | None = None) -> None:
        """Tell everyone whose tools are other ones than before; once for each session.

        None stands for anything: all are looked at then, many in slices between other work.
        """
        if changes is None:
            self._due.update(dict.fromkeys(reversed(self._all)))
        for key in changes or ():
            self._due.update(dict.fromkeys(reversed(self._under.get(key, {}))))
        if self._later is None:
            self._look()

    def _look(self) -> None:
        self._later = None
        for _ in range(min(len(self._due), _AT_ONCE)):
            listener = next(iter(self._due))
            del self._due[listener]
            self._tell(listener)
        if self._due:
            self._later = asyncio.get_running_loop().call_soon(self._look)

    def _tell(self, listener: Listener) -> None:
        grant = listener.allowed()
        if grant is None:
            return
        self._note(listener)
        now = self._tools_of(grant)
        if now == listener.seen:
            return
        listener.seen = now
        session = listener.session
        if listener.change is None or (session and self._told.get(session) == now):
            return
        if session:
            self._told[session] = now
        listener.push(listener.change)

    def check(self) -> None:
        """End the streams whose server or token is gone. Called every second."""
        now = self._clock() if self._ends else None
        for server in [one for one, ends in self._ends.items() if now is not None and now >= ends]:
            for listener in [*self._under["server", server]]:
                listener.allowed()
        # A rotated token or a second factor may end, too: each is looked at twice a minute.
        if not self._thorough:
            self._thorough = [*self._all]
            self._share = -(-len(self._thorough) // _THOROUGH)
        for listener in self._thorough[-self._share :]:
            if listener in self._all:
                listener.allowed()
        del self._thorough[-self._share :]

    def end_session(self, session: str) -> None:
        """End the streams of a session."""
        for listener in [*self._under.get((_SESSION, session), ())]:
            listener.finish()

    def close(self) -> None:
        """End all, and whoever comes."""
        self._closed = True
        for listener in [*self._all]:
            listener.finish()

    def _tools_of(self, grant: Grant) -> tuple[Tool, ...]:
        try:
            return self._tools.list(grant).tools
        except Refused:  # the account cannot be used just now
            return ()
