"""Webhooks as Malomo posts them: signed, tried again for a day, and only to this machine.

A post that would leave the machine is kept and not sent, so that what would have been posted can be
seen all the same.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections import deque
from urllib.parse import SplitResult, urlsplit

import msgspec
from aiohttp import web

from crossdock_malomo.sandbox.shop import Record, Shop
from crossdock_malomo.sandbox.switches import Switches

ATTEMPTS = 10
TIMEOUT = 10.0
KEPT = 1000
LOOPBACK = ("127.0.0.1", "localhost")


class Posts:
    """What was posted to the webhooks of one shop, and what is still to be."""

    def __init__(self, shop: Shop, switches: Switches) -> None:
        self._shop = shop
        self.switches = switches
        self.made: deque[Record] = deque(maxlen=KEPT)
        self._tasks: set[asyncio.Task[None]] = set()

    async def close(self, _: web.Application) -> None:
        """Give up what is still to be tried, when the application ends."""
        self.forget()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def forget(self) -> None:
        """Stop what is still to be tried, and forget what was."""
        for task in self._tasks:
            task.cancel()
        self.made.clear()

    def announce(self, topic: str, record: Record) -> None:
        """Post a record to the active webhook of a topic, if there is one."""
        body = msgspec.json.encode(record)
        for webhook in self._shop.webhooks.values():
            if webhook["topic"] == topic and webhook["active"]:
                task = asyncio.create_task(self._post(webhook["id"], body))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _post(self, id: str, body: bytes) -> None:
        for attempt in range(1, ATTEMPTS + 1):
            webhook = self._shop.webhooks.get(id)
            if webhook is None or not webhook["active"]:
                return
            headers = {
                "Content-Type": "application/json",
                "Malomo-Topic": webhook["topic"],
                "Malomo-Webhook-Id": id,
                "Malomo-Attempt-Number": str(attempt),
            }
            if secret := self._shop.secrets.get(id):
                mark = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
                headers["Malomo-Signature"] = mark.upper()
            post = {"url": webhook["url"], "headers": headers, "body": body.decode()}
            answered = await self._send(webhook["url"], headers, body)
            self.made.append({**post, "answered": answered})
            if answered == "not sent" or (isinstance(answered, int) and 200 <= answered < 300):
                return
            await asyncio.sleep(self.switches.webhook_retry_seconds * 2 ** (attempt - 1))

    async def _send(self, url: str, headers: dict[str, str], body: bytes) -> int | str:
        """Return the status, "not sent" for a host that is not this machine, or what went wrong."""
        parts = urlsplit(url)
        here = parts.scheme == "http" and parts.hostname in LOOPBACK
        if not here or not self.switches.loopback_webhooks:
            return "not sent"
        try:
            async with asyncio.timeout(TIMEOUT):
                return await _posted(parts, headers, body)
        except (OSError, TimeoutError, ValueError) as error:
            return type(error).__name__


async def _posted(parts: SplitResult, headers: dict[str, str], body: bytes) -> int:
    """POST once by hand, since a sandbox has a server of aiohttp's and no client."""
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 80)
    try:
        more = {"Host": parts.netloc, "Content-Length": str(len(body)), "Connection": "close"}
        lines = [f"{name}: {value}" for name, value in {**headers, **more}.items()]
        target = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
        head = "\r\n".join([f"POST {target} HTTP/1.1", *lines, "", ""])
        writer.write(head.encode() + body)
        await writer.drain()
        status = (await reader.readline()).split()[1:2]
        return int(status[0]) if status else 0
    finally:
        writer.close()
