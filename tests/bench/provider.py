"""The upstream of every measurement: an HTTP server that does the least, with answers of known value.

    python provider.py PORT [--delay SECONDS] [--certificate FILE]

`GET /orders` gives a list of one order of 2 KB and says where the next page is, `GET /orders/large`
one record of 100 KB, any other `/orders/{id}` the order. A request without the right key gets 401.
Requests to `/slow/…` are answered after five seconds. `GET /records.json` holds all of it by name,
for whoever checks answers.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import ssl
from pathlib import Path

KEY = "sk_bench_1234567890"
SLOW_SECONDS = 5.0


def _order(identity: str, scans: int) -> dict:
    return {
        "id": identity,
        "number": "#1042",
        "email": "a@example.com",
        "created_at": "2026-11-01T08:14:00",
        "shipments": [
            {
                "carrier": "usps",
                "tracking_code": f"94001118995610420000{n:02}",
                "status": "in_transit",
                "scan_events": [
                    {
                        "description": "Arrived at facility",
                        "scanned_at": f"2026-11-{d % 28 + 1:02}T08:14:00",
                    }
                    for d in range(scans)
                ],
            }
            for n in range(4)
        ],
    }


ORDER = _order("0b54c1a2-8f6e-4a52-9d5f-6a1c2f3b4d5e", 5)
LARGE = _order("large", 330)
RECORDS = {"order": ORDER, "large": LARGE}


def _answer(status: str, value: object, link: str = "") -> bytes:
    body = json.dumps(value).encode()
    lines = [
        f"HTTP/1.1 {status}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *([f"Link: {link}"] if link else []),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


LIST = _answer("200 OK", [ORDER], '</orders?next=b3JkZXI6MTA0Mg>; rel="next"')
ONE = _answer("200 OK", ORDER)
HUNDRED = _answer("200 OK", LARGE)
ALL = _answer("200 OK", RECORDS)
WRONG_KEY = _answer("401 Unauthorized", {"message": "wrong key"})
ASKED = f"bearer {KEY}".encode()


class Provider(asyncio.Protocol):
    """Answers in the order of arrival; requests have no bodies."""

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._seen = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._seen += data
        while b"\r\n\r\n" in self._seen:
            head, _, self._seen = self._seen.partition(b"\r\n\r\n")
            path = head.partition(b" ")[2].partition(b" ")[0]
            delay = self._delay
            if path.startswith(b"/slow"):
                path, delay = path.removeprefix(b"/slow"), SLOW_SECONDS
            answer = self._answer(path, head)
            if delay:
                asyncio.get_running_loop().call_later(delay, self._write, answer)
            else:
                self._write(answer)

    def _answer(self, path: bytes, head: bytes) -> bytes:
        if path == b"/records.json":
            return ALL
        if ASKED not in head.lower():
            return WRONG_KEY
        if path.partition(b"?")[0] == b"/orders":
            return LIST
        return HUNDRED if path == b"/orders/large" else ONE

    def _write(self, answer: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(answer)


async def _serve(port: int, delay: float, certificate: Path | None) -> None:
    context = None
    if certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Provider(delay), "127.0.0.1", port, ssl=context, backlog=1024
    )
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("port", type=int)
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--certificate", type=Path)
    given = parser.parse_args()
    with contextlib.suppress(ImportError):
        import uvloop

        uvloop.install()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(given.port, given.delay, given.certificate))
