"""`crossdock dev`: what is saved counts at once, what is broken changes nothing, all is shown."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from harness import depot
from harness.patience import until

from crossdock.client.http import Client

pytestmark = pytest.mark.e2e
KEY = "depot-key-5d1f"


class Developing:
    """A running `crossdock dev`, and what it has said."""

    def __init__(self, ready: dict[str, Any], client: Client) -> None:
        self.ready = ready
        self.client = client
        self.said = ""

    async def names(self) -> list[str]:
        listed = await self.client.result("tools/list", {})
        return [one["name"] for one in listed["tools"]]

    async def call(self, name: str, /, **arguments: Any) -> Any:
        result = await self.client.result("tools/call", {"name": name, "arguments": arguments})
        assert not result["isError"], result
        return json.loads(result["content"][0]["text"])

    async def asked(self, name: str, /, **arguments: Any) -> Any:
        """Call, and return nothing while the sandbox starts anew."""
        result = await self.client.result("tools/call", {"name": name, "arguments": arguments})
        return None if result["isError"] else json.loads(result["content"][0]["text"])

    async def listen(self, stream: asyncio.StreamReader) -> None:
        while line := await stream.readline():
            self.said += line.decode()


@asynccontextmanager
async def developing(folder: Path) -> AsyncIterator[Developing]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("CROSSDOCK_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "crossdock", "dev", str(folder), "--port", "0", "--json"),
        env=kept,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None and process.stderr is not None
    listening: asyncio.Task[None] | None = None
    try:
        async with asyncio.timeout(60):
            line = await process.stdout.readline()
        assert line, (await process.stderr.read()).decode()
        ready = json.loads(line)
        async with Client(ready["servers"][0]["url"]) as client:
            made = Developing(ready, client)
            listening = asyncio.create_task(made.listen(process.stderr))
            yield made
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        if listening is not None:
            await listening


async def test_the_first_line_is_as_the_demos(tmp_path: Path) -> None:
    async with developing(depot.write(tmp_path)) as made:
        assert set(made.ready) == {"url", "admin_token", "servers", "sandboxes"}
        (server,) = made.ready["servers"]
        assert server["integration"] == "depot"
        assert made.ready["sandboxes"][0]["base_url"].startswith("http://127.0.0.1:")


async def test_each_request_is_shown_with_its_reply_and_no_credential(tmp_path: Path) -> None:
    async with developing(depot.write(tmp_path)) as made:
        await made.call("update_a_depot_crate_by_id", id="c7", name="Seven")
        await until(lambda: made.said.count("→ 200") == 3)
        assert f"PUT {made.ready['sandboxes'][0]['base_url']}/v1/crates/c7\n" in made.said
        assert "X-Depot-Key: ***" in made.said
        assert '"name":"Seven"' in made.said
        assert KEY not in made.said


async def test_saved_pages_toml_and_python_count_and_broken_ones_change_nothing(
    tmp_path: Path,
) -> None:
    folder = depot.write(tmp_path)
    page, toml, python = folder / "docs/crates.md", folder / "adapter.toml", folder / "__init__.py"
    async with developing(folder) as made:
        before = await made.names()

        page.write_text(depot.PAGE.replace("## depot_crates_seal", "## depot_crates_zeal"))
        await until(lambda: "depot_crates_zeal" in made.said and "last good state" in made.said)
        assert await made.names() == before

        page.write_text(depot.PAGE + "\n## depot_crates_open\n\nOpen a crate that was sealed.\n")
        toml.write_text(depot.TOML.replace("seal =", 'open = "POST /crates/open"\nseal ='))
        await until(lambda: made.said.count("tools\n") >= 1)

        async def is_open() -> bool:
            return "depot_crates_open" in await made.names()

        await until(is_open)

        python.write_text("raise RuntimeError('half-saved')\n")
        await until(lambda: "half-saved" in made.said)
        assert (await made.call("get_single_depot_crate_by_id", id="c7"))["name"] == "Crate 7"

        python.write_text(
            depot.PYTHON.replace(
                "return Outcome(data=decode(reply.body)", "return Outcome(data={'new': 1}"
            )
        )

        async def is_new() -> bool:
            label = "get_single_depot_crates_by_label_by_id"
            return bool(await made.asked(label, id="c7") == {"new": 1})

        await until(is_new)

        sandbox = folder / "sandbox.py"
        sandbox.write_text(depot.SANDBOX.replace('f"Crate {n}"', 'f"Box {n}"'))

        async def is_a_box() -> bool:
            found = await made.asked("get_single_depot_crate_by_id", id="c7")
            return bool(found and found["name"] == "Box 7")

        await until(is_a_box)
