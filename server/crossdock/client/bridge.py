"""stdio ⇄ gateway: passes JSON-RPC messages through, in whichever era the local client speaks.

Hosts that only start processes reach an MCP URL this way. Messages keep their bytes; only the HTTP
headers of each revision are added. A refusal becomes a JSON-RPC error in the gateway's words, so
that the person at the desk reads them. The URL is a secret: no message of ours repeats it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from typing import Any

import aiohttp
import msgspec

from crossdock.client.headers import Mirrored, claimed_version, header_value
from crossdock.client.http import UNREACHABLE, Failed, failure_of, messages, unreachable

UNANSWERED = 50401
_PARSE_ERROR, _INVALID_REQUEST, _HEADER_MISMATCH = -32700, -32600, -32020
_GRACE_SECONDS, _PARTING_SECONDS = 30.0, 2.0
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 30.0
_RESUMPTIONS = 100
_ENDLESS = "subscriptions/listen"
_CUT = (
    "The connection to the gateway broke before the answer came. If this was a change, it may "
    "have been made: look before trying again."
)
_BROKEN = (aiohttp.ClientError, TimeoutError, OSError, ValueError)

Line = dict[str, Any]


class _Reading:
    """How far an answer was read, to go on from there when its stream ends early."""

    def __init__(self) -> None:
        self.session = ""
        self.last: str | None = None
        self.wait = _FIRST_WAIT


class _Underway:
    """A request of the local client's that is not answered yet."""

    def __init__(self, task: asyncio.Task[None], message: Line) -> None:
        self.task = task
        self.modern = claimed_version(message) is not None
        self.endless = message["method"] == _ENDLESS


class Bridge:
    """Carries the messages of one local client. `write` gets each outgoing line, without its end;
    `complain` gets a sentence where no answer is due."""

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        write: Callable[[bytes], None],
        complain: Callable[[str], None],
    ) -> None:
        self._url = url
        self._own = dict(headers)
        self._write = write
        self._complain = complain
        self._mirrored = Mirrored()
        self._tasks: set[asyncio.Task[None]] = set()
        self._underway: dict[bytes, _Underway] = {}
        self._greeted = asyncio.Event()
        self._greeted.set()
        self._hello = self._initialized = b""
        self._version = self._session = ""
        self._listening: asyncio.Task[None] | None = None
        self._reviving = asyncio.Lock()
        self._http: aiohttp.ClientSession

    async def run(self, lines: AsyncIterator[bytes]) -> None:
        """Serve until the lines end; calls under way may still be answered for a while."""
        self._http = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=300),
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        async with self._http:
            try:
                async for line in lines:
                    if text := line.strip():
                        self._take(text)
                await self._finish()
            finally:
                left = list(self._tasks)
                for task in left:
                    task.cancel()
                await asyncio.gather(*left, return_exceptions=True)

    # --- what the local client says ----------------------------------------------------------

    def _take(self, line: bytes) -> None:
        try:
            message = msgspec.json.decode(line)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            self._fail(None, Failed(_PARSE_ERROR, "The line is not valid JSON"))
            return
        if isinstance(message, list):  # a batch, which 2025-03-26 has
            self._start(self._answer(None, self._legacy(line, b"")))
        elif not isinstance(message, dict):
            self._fail(None, Failed(_INVALID_REQUEST, "A message must be a JSON object"))
        elif isinstance(message.get("method"), str) and "id" in message:
            self._take_request(line, message)
        elif not self._cancels(message):
            self._start(self._notify(line, message))

    def _take_request(self, line: bytes, message: Line) -> None:
        key = msgspec.json.encode(message["id"])
        if claimed_version(message) is not None:
            carry = self._modern(line, message, key)
        elif message["method"] == "initialize":
            self._greeted.clear()
            carry = self._greet(line, key)
        else:
            carry = self._legacy(line, key)
        task = self._start(self._answer(message["id"], carry))
        underway = self._underway[key] = _Underway(task, message)
        task.add_done_callback(lambda _: self._forget(key, underway))

    def _forget(self, key: bytes, underway: _Underway) -> None:
        if self._underway.get(key) is underway:
            del self._underway[key]

    def _cancels(self, message: Line) -> bool:
        """Whether the message cancels a request of the newest era, which is closed for that."""
        if message.get("method") != "notifications/cancelled":
            return False
        params = message.get("params")
        id = params.get("requestId") if isinstance(params, dict) else None
        underway = self._underway.get(msgspec.json.encode(id))
        if underway is None or not underway.modern:
            return False
        underway.task.cancel()
        return True

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _answer(self, id: Any, carry: Coroutine[Any, Any, None]) -> None:
        """See to it that a request gets an answer, be it an error."""
        try:
            await carry
        except Failed as failed:
            self._fail(id, failed)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            self._fail(id, Failed(UNREACHABLE, unreachable(error)))
        except _BROKEN:
            self._fail(id, Failed(UNANSWERED, _CUT))

    def _fail(self, id: Any, failed: Failed) -> None:
        given = {} if id is None else {"id": id}
        self._write(msgspec.json.encode({"jsonrpc": "2.0", **given, "error": failed.error}))

    # --- the newest era: each request stands for itself --------------------------------------

    async def _modern(self, line: bytes, message: Line, key: bytes) -> None:
        try:
            answer = await self._exchange(line, self._mirrored.headers(message), key)
        except Failed as failed:
            if failed.code != _HEADER_MISMATCH or message["method"] != "tools/call":
                raise
            # The tool wants arguments as headers, and its schema never came past here.
            await self._learn_tools(message)
            answer = await self._exchange(line, self._mirrored.headers(message), key)
        if answer is None:
            raise Failed(UNANSWERED, _CUT)
        if message["method"] == "tools/list":
            self._learn(answer)

    async def _learn_tools(self, message: Line) -> None:
        meta = {**message["params"]["_meta"]}
        meta.pop("progressToken", None)
        cursor: dict[str, str] = {}
        while True:
            params = {**cursor, "_meta": meta}
            ask: Line = {"jsonrpc": "2.0", "id": 0, "method": "tools/list", "params": params}
            headers = self._mirrored.headers(ask)
            answer = await self._exchange(msgspec.json.encode(ask), headers, b"0", silent=True)
            following = self._learn(answer)
            if following is None:
                return
            cursor = {"cursor": following}

    def _learn(self, answer: Any) -> str | None:
        """Take note of listed tools, and return the cursor of the next page."""
        result = answer.get("result") if isinstance(answer, dict) else None
        if not isinstance(result, dict):
            return None
        self._mirrored.learn(result)
        following = result.get("nextCursor")
        return following if isinstance(following, str) else None

    # --- the older revisions: an agreed version, and perhaps a session -----------------------

    async def _greet(self, line: bytes, key: bytes) -> None:
        self._version = self._session = ""
        reading = _Reading()
        try:
            answer = await self._exchange(line, {}, key, reading)
            if answer is None:
                raise Failed(UNANSWERED, _CUT)
            result = answer.get("result")
            if isinstance(result, dict):
                self._hello = line
                self._version = str(result.get("protocolVersion", ""))
                self._session = reading.session
        finally:
            self._greeted.set()

    async def _legacy(self, line: bytes, key: bytes) -> None:
        await self._greeted.wait()
        session, reading = self._session, _Reading()
        try:
            answer = await self._exchange(line, self._headers(), key, reading)
        except Failed as failed:
            if failed.status != 404 or not session:
                raise
            await self._revive(session)
            answer = await self._exchange(line, self._headers(), key, reading)
        if answer is None:
            await self._resume(key, reading)

    async def _resume(self, key: bytes, reading: _Reading) -> None:
        """Read on where the stream of an answer ended before the answer came."""
        for _ in range(_RESUMPTIONS):
            if reading.last is None or not self._session:
                break
            await asyncio.sleep(reading.wait)
            async with self._get(reading.last) as response:
                if response.status != 200:
                    break
                if await self._relay(response, key, reading) is not None:
                    return
        raise Failed(UNANSWERED, _CUT)

    async def _revive(self, ended: str) -> None:
        """Begin a new session where the gateway ended ours; the local client need not know."""
        async with self._reviving:
            if self._session != ended:
                return
            reading = _Reading()
            key = msgspec.json.encode(msgspec.json.decode(self._hello)["id"])
            await self._exchange(self._hello, {}, key, reading, silent=True)
            self._session = reading.session
            if self._initialized:
                async with self._post(self._initialized, self._headers()):
                    self._listen()

    async def _notify(self, line: bytes, message: Line) -> None:
        """Carry a notification, or the local client's answer to a request of the gateway's."""
        modern = claimed_version(message) is not None
        if not modern:
            await self._greeted.wait()
        headers = self._mirrored.headers(message) if modern else self._headers()
        try:
            async with self._post(line, headers) as response:
                if response.status >= 300:
                    raise await failure_of(response)
        except Failed as failed:
            self._complain(str(failed))
        except _BROKEN as error:
            self._complain(unreachable(error))
        else:
            if message.get("method") == "notifications/initialized":
                self._initialized = line
                self._listen()

    def _listen(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
        self._listening = self._start(self._listen_on()) if self._session else None

    async def _listen_on(self) -> None:
        """Relay what the gateway says unasked, for as long as it offers a stream for that."""
        reading, wait = _Reading(), _FIRST_WAIT
        while True:
            wait = min(wait * 2, _LONGEST_WAIT)
            with contextlib.suppress(*_BROKEN):
                async with self._get(reading.last) as response:
                    streams = response.content_type == "text/event-stream"
                    if response.status < 500 and not (response.status == 200 and streams):
                        return
                    if response.status == 200:
                        wait = reading.wait
                        await self._relay(response, b"", reading)
            await asyncio.sleep(wait)

    def _headers(self) -> dict[str, str]:
        headers = {}
        if self._version:
            headers["MCP-Protocol-Version"] = header_value(self._version)
        if self._session:
            headers["Mcp-Session-Id"] = self._session
        return headers

    # --- HTTP --------------------------------------------------------------------------------

    async def _exchange(
        self,
        body: bytes,
        headers: Mapping[str, str],
        key: bytes,
        reading: _Reading | None = None,
        *,
        silent: bool = False,
    ) -> Any:
        """POST, relay what comes back, and return the answer to `key`; None if it did not come.

        Raises Failed when the gateway refuses.
        """
        reading = reading or _Reading()
        async with self._post(body, headers) as response:
            if response.status == 202:  # a batch without a request in it
                return ()
            if response.status != 200:
                raise await failure_of(response)
            reading.session = response.headers.get("Mcp-Session-Id", "")
            return await self._relay(response, key, reading, silent=silent)

    async def _relay(
        self,
        response: aiohttp.ClientResponse,
        key: bytes,
        reading: _Reading,
        *,
        silent: bool = False,
    ) -> Any:
        """Write every message of a response, and return the one that answers `key`."""
        answer = None
        try:
            async for event, message in messages(response):
                reading.last = reading.last if event.id is None else event.id
                reading.wait = reading.wait if event.retry is None else event.retry
                if message is None:
                    continue
                if not silent:
                    self._write(event.data.translate(None, b"\r\n"))
                if isinstance(message, list) or _answers(message, key):
                    answer = message
        except _BROKEN:
            if answer is None and reading.last is None:
                raise
        return answer

    def _post(self, body: bytes, headers: Mapping[str, str]) -> Any:
        given = {
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            **headers,
            **self._own,
        }
        return self._http.post(self._url, data=body, headers=given, allow_redirects=False)

    def _get(self, last: str | None) -> Any:
        given = {"Accept": "text/event-stream", **self._headers(), **self._own}
        if last is not None:
            given["Last-Event-ID"] = last
        return self._http.get(self._url, headers=given, allow_redirects=False)

    async def _finish(self) -> None:
        """Let calls under way be answered, and end the session."""
        endless = {one.task for one in self._underway.values() if one.endless}
        if due := self._tasks - endless - {self._listening}:
            await asyncio.wait(due, timeout=_GRACE_SECONDS)
        if self._session:
            given = {**self._headers(), **self._own}
            with contextlib.suppress(*_BROKEN):
                async with asyncio.timeout(_PARTING_SECONDS):
                    await self._http.delete(self._url, headers=given, allow_redirects=False)


def _answers(message: Any, key: bytes) -> bool:
    return (
        isinstance(message, dict)
        and "method" not in message
        and msgspec.json.encode(message.get("id")) == key
    )
