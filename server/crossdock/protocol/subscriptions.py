"""Who listens for changes of the tools: older clients' streams and subscriptions/listen.

A listener is judged anew by the door when something changed, when its server expires, and now and
then besides: its stream ends with the server or token it came through.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from crossdock.authoring import Tool
from crossdock.errors import Refused
from crossdock.model import Grant, Tools
from crossdock.protocol.jsonrpc import notification_bytes
from crossdock.protocol.replay import Stream

CHANGED_METHOD = "notifications/tools/list_changed"
CHANGED = notification_bytes(CHANGED_METHOD, b"{}")

_THOROUGH = 30


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

    def allowed(self) -> Grant | None:
        """Return what the listener's URL opens now; end it when that is nothing."""
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
    """All listeners, and what each was last told."""

    def __init__(
        self, tools: Tools, most_per_server: int, most: int, clock: Callable[[], datetime]
    ) -> None:
        self._tools = tools
        self._most_per_server = most_per_server
        self._most = most
        self._clock = clock
        self._checks = 0
        self._seen: dict[Listener, tuple[Tool, ...]] = {}

    def __bool__(self) -> bool:
        return bool(self._seen)

    def add(self, listener: Listener) -> None:
        """Tell this listener of changes from now on. Raises Refused (429, 503)."""
        grant = listener.allowed()
        if grant is None:
            return
        if len(self._seen) >= self._most:
            raise Refused(503, "Too many streams are open on this gateway. Try again later.")
        fellows = sum(1 for other in self._seen if other.grant.server_id == grant.server_id)
        if fellows >= self._most_per_server:
            raise Refused(429, "Too many streams are open at this URL. Close one first.")
        self._seen[listener] = self._tools_of(grant)

    def remove(self, listener: Listener) -> None:
        """Forget a listener."""
        self._seen.pop(listener, None)

    def changed(self) -> None:
        """Tell everyone whose tools are other ones than before; once for each session."""
        told: set[str] = set()
        for listener, seen in reversed(list(self._seen.items())):
            grant = listener.allowed()
            if grant is None:
                continue
            now = self._tools_of(grant)
            if now == seen:
                continue
            self._seen[listener] = now
            if listener.change is None or listener.session in told:
                continue
            if listener.session:
                told.add(listener.session)
            listener.push(listener.change)

    def check(self) -> None:
        """End the streams whose server or token is gone. Called every second."""
        self._checks += 1
        thorough = self._checks % _THOROUGH == 0  # a rotated token or a second factor may end, too
        now = self._clock() if self._seen else None
        for listener in list(self._seen):
            ends = listener.grant.expires_at
            if thorough or (now is not None and ends is not None and now >= ends):
                listener.allowed()

    def end_session(self, session: str) -> None:
        """End the streams of a session."""
        for listener in list(self._seen):
            if listener.session == session:
                listener.finish()

    def close(self) -> None:
        """End all."""
        for listener in list(self._seen):
            listener.finish()

    def _tools_of(self, grant: Grant) -> tuple[Tool, ...]:
        try:
            return self._tools.list(grant).tools
        except Refused:  # the account cannot be used just now
            return ()
