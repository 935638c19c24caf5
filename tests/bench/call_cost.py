"""What one tools/call costs, beside a bare aiohttp handler that does the least possible.

    python tests/bench/call_cost.py            # needs wrk; three rounds of 3 s each side
    python tests/bench/call_cost.py --rounds 5 --seconds 5

Both sides answer the same MCP request by one authenticated GET to the same local upstream and put
its 2 KB of JSON into a result. CPU per call is the process's own user and system time, so it does
not need the process to be the bottleneck; what counts is the ratio of the same round.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path

ORDER = {
    "id": "0b54c1a2-8f6e-4a52-9d5f-6a1c2f3b4d5e",
    "number": "#1042",
    "email": "a@example.com",
    "shipments": [
        {
            "carrier": "usps",
            "tracking_code": f"94001118995610420000{n:02}",
            "scan_events": [
                {"description": "Arrived at facility", "scanned_at": f"2026-11-{d:02}T08:14:00"}
                for d in range(1, 6)
            ],
        }
        for n in range(4)
    ],
}
BODY = json.dumps([ORDER]).encode()


async def upstream(port: int) -> None:
    """Answer every request with the same list: the cheapest provider there can be."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(
        BODY
    )

    class Provider(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport
            self.seen = b""

        def data_received(self, data: bytes) -> None:
            self.seen += data
            while b"\r\n\r\n" in self.seen:
                _, _, self.seen = self.seen.partition(b"\r\n\r\n")
                self.transport.write(head + BODY)  # type: ignore[attr-defined]

    server = await asyncio.get_running_loop().create_server(Provider, "127.0.0.1", port)
    await server.serve_forever()


def bare(port: int, provider: int) -> None:
    """Serve the same call with nothing in between."""
    import aiohttp
    import msgspec
    from aiohttp import web

    params = msgspec.defstruct("Params", [("name", str), ("arguments", dict)])
    request_of = msgspec.defstruct("Request", [("id", int), ("params", params)])
    decoder = msgspec.json.Decoder(request_of)
    session = web.AppKey("session", aiohttp.ClientSession)

    async def with_session(app: web.Application) -> AsyncIterator[None]:
        async with aiohttp.ClientSession() as app[session]:
            yield

    async def handle(request: web.Request) -> web.Response:
        call = decoder.decode(await request.read())
        async with request.app[session].get(
            f"http://127.0.0.1:{provider}/orders",
            params=call.params.arguments,
            headers={"Authorization": "Bearer sk_bench_1234567890"},
        ) as reply:
            body = await reply.read()
        msgspec.json.decode(body, type=msgspec.Raw)
        text = msgspec.json.encode(body.decode())
        return web.Response(
            body=b'{"jsonrpc":"2.0","id":%d,"result":{"content":[{"type":"text","text":%b}]}}'
            % (call.id, text),
            content_type="application/json",
        )

    app = web.Application()
    app.cleanup_ctx.append(with_session)
    app.router.add_post("/mcp/{token}", handle)
    # The same loop as `crossdock serve` chooses.
    import uvloop

    web.run_app(
        app, loop=uvloop.new_event_loop(), host="127.0.0.1", port=port, access_log=None, print=None
    )


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def load(url: str, call: dict[str, object], seconds: int, folder: Path) -> int:
    """Drive a URL with wrk; the number of answers."""
    script = folder / "call.lua"
    body = json.dumps(call).replace("\\", "\\\\").replace("'", "\\'")
    script.write_text(
        textwrap.dedent(f"""
        wrk.method = "POST"
        wrk.body = '{body}'
        wrk.headers["Content-Type"] = "application/json"
        local wrong = 0
        response = function(status, headers, body)
          if status ~= 200 or not body:find("0b54c1a2", 1, true) then wrong = wrong + 1 end
        end
        """)
    )
    out = subprocess.run(
        ["wrk", "-t1", "-c32", f"-d{seconds}s", "-s", str(script), url],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    if "Non-2xx" in out or "Socket errors" in out:
        sys.exit(f"wrong answers under load:\n{out}")
    return int(re.search(r"(\d+) requests in", out).group(1))  # type: ignore[union-attr]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--tool", default="list_all_malomo_orders")
    options = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("wrk is missing; install it (Debian: apt-get install wrk)")
    python = sys.executable
    crossdock = Path(python).with_name("crossdock")
    environment = {**os.environ, "BENCH_KEY": "sk_bench_1234567890"}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "config.toml").write_text(
            textwrap.dedent("""
            [upstream]
            allow_private = ["127.0.0.1/32"]
            [log]
            level = "warning"
            [plugins]
            folder = ""
            [accounts.shop]
            integration = "malomo"
            settings = { base_url = "http://127.0.0.1:8701" }
            credentials = { api_key = "env:BENCH_KEY" }
            """)
        )
        config = ["--config", str(folder / "config.toml")]
        made = subprocess.run(
            [crossdock, "server", "create", "shop", "--name", "bench", "--json", *config],
            check=True,
            capture_output=True,
            env=environment,
        )
        token = json.loads(made.stdout)["token"]
        processes = [
            subprocess.Popen([python, __file__, "--serve-upstream"]),
            subprocess.Popen([python, __file__, "--serve-bare"]),
            subprocess.Popen([crossdock, "serve", "--port", "8703", *config], env=environment),
        ]
        try:
            compare(options, folder, token, processes[1].pid, processes[2].pid)
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait()


def compare(
    options: argparse.Namespace, folder: Path, token: str, bare_pid: int, own_pid: int
) -> None:
    import time
    import urllib.request

    for _ in range(100):
        try:
            urllib.request.urlopen("http://127.0.0.1:8703/healthz").read()
            break
        except OSError:
            time.sleep(0.1)
    call = {
        "jsonrpc": "2.0",
        "id": 7,
        "method": "tools/call",
        "params": {"name": options.tool, "arguments": {}},
    }
    sides = {
        "bare": (f"http://127.0.0.1:8702/mcp/{token}", bare_pid),
        "crossdock": (f"http://127.0.0.1:8703/mcp/{token}", own_pid),
    }
    for url, _ in sides.values():
        load(url, call, 1, folder)
    costs: dict[str, list[float]] = {side: [] for side in sides}
    rates: dict[str, list[float]] = {side: [] for side in sides}
    for number in range(options.rounds):
        for side in list(sides) if number % 2 == 0 else reversed(sides):
            url, pid = sides[side]
            before = cpu_seconds(pid)
            answers = load(url, call, options.seconds, folder)
            costs[side].append((cpu_seconds(pid) - before) / answers * 1e6)
            rates[side].append(answers / options.seconds)
    for side in sides:
        print(
            f"{side:10} {statistics.median(costs[side]):6.0f} µs CPU per call, "
            f"{statistics.median(rates[side]):7.0f} calls/s"
        )
    ratios = [own / least for own, least in zip(costs["crossdock"], costs["bare"], strict=True)]
    print(f"ratio      {statistics.median(ratios):6.2f} (crossdock / bare, same round, median)")


if __name__ == "__main__":
    if sys.argv[1:] == ["--serve-upstream"]:
        asyncio.run(upstream(8701))
    elif sys.argv[1:] == ["--serve-bare"]:
        bare(8702, 8701)
    else:
        main()
