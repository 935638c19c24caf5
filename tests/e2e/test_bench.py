"""The bench measures what it says: right answers only, and a slower call is told from a quicker one.

Nothing here judges how fast anything is.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).resolve().parents[1] / "bench"

pytestmark = pytest.mark.e2e


def bench(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, BENCH, *words]
    return subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, check=False
    )


def recorded(path: Path, **ratios: float) -> Path:
    suites = {name: {"crossdock": {"ratio": ratio}} for name, ratio in ratios.items()}
    path.write_text(json.dumps({"suites": suites}) + "\n", encoding="utf-8")
    return path


@pytest.mark.skipif(sys.platform != "linux", reason="the bench reads the accounting of Linux")
def test_a_run_is_one_line_of_json_with_ratios_of_checked_answers() -> None:
    done = bench(
        *("run", "--suite", "calls,lists", "--peers", "crossdock,bare"),
        *("--rounds", 1, "--seconds", 0.3),
    )
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    record: dict[str, Any] = json.loads(line)
    assert set(record["suites"]) == {"calls", "lists"}
    for figures in record["suites"].values():
        assert set(figures) == {"crossdock", "bare"}
        assert all(one["cpu_us"] > 0 and one["per_second"] > 0 for one in figures.values())
        assert figures["bare"]["ratio"] == 1.0
    assert {"python", "crossdock", "aiohttp"} <= record["versions"].keys()


@pytest.mark.parametrize(
    ("before", "after", "code", "said"),
    [
        ({"calls": 1.2}, {"calls": 1.2}, 0, "nothing got worse"),
        ({"calls": 1.2}, {"calls": 1.3}, 0, "nothing got worse"),
        ({"calls": 1.2}, {"calls": 2.6}, 1, "calls ratio: 1.20 → 2.60"),
        ({"calls": 1.2, "lists": 1.1}, {"lists": 5.5}, 1, "lists ratio: 1.10 → 5.50"),
        ({"calls": 1.2}, {"lists": 5.5}, 1, "no suite in common"),
    ],
)
def test_a_run_that_got_worse_is_told(
    tmp_path: Path, before: dict[str, float], after: dict[str, float], code: int, said: str
) -> None:
    files = recorded(tmp_path / "before", **before), recorded(tmp_path / "after", **after)
    done = bench("compare", *files)
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr


@pytest.mark.parametrize("text", ["", "no json", "{}", "[]"])
def test_a_file_without_a_run_is_refused_by_name(tmp_path: Path, text: str) -> None:
    file = tmp_path / "broken"
    file.write_text(text, encoding="utf-8")
    done = bench("compare", file, file)
    assert done.returncode == 1
    assert "holds no line of" in done.stderr
    assert "Traceback" not in done.stderr


def answer(status: str, message: Any) -> bytes:
    body = json.dumps(message).encode()
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def result(text: str, **more: Any) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": text}], **more}


@pytest.mark.parametrize(
    ("status", "given", "good"),
    [
        ("200 OK", result('{"id":"1","n":2}'), True),
        ("200 OK", result('{"id":"1"}'), True),
        ("200 OK", result('{"id":"1","n":3}'), False),
        ("200 OK", result('{"id":"1","m":2}'), False),
        ("200 OK", result('{"n":2}'), False),
        ("200 OK", result('{"id":"1","n":2}', isError=True), False),
        ("503 Busy", result('{"id":"1","n":2}'), False),
    ],
)
async def test_the_load_takes_no_wrong_answer(status: str, given: Any, good: bool) -> None:
    import asyncio

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                writer.close()
                return
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
            number = json.loads(await reader.readexactly(length))["id"]
            writer.write(answer(status, {"jsonrpc": "2.0", "id": number, "result": given}))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        order = {
            "host": "127.0.0.1",
            "port": server.sockets[0].getsockname()[1],
            "path": "/mcp",
            "method": "tools/call",
            "params": {},
            "headers": {},
            "connections": 2,
            "seconds": 30,
            "calls": 20,
            "shows": "record",
            "expected": {"id": "1", "n": 2},
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(BENCH / "load.py")),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        said, complaint = await process.communicate(json.dumps(order).encode())
    assert (process.returncode == 0) is good, complaint
    if good:
        assert json.loads(said)["answers"] == 20
    else:
        assert b"wrong answer" in complaint
