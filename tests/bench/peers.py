"""The servers that are measured, each a process on a core of its own, and what the kernel says of them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
KEY = "sk_bench_1234567890"
TOOLS = 100
ALL_PEERS = ("crossdock", "bare", "mcp", "fastmcp", "typescript")

sys.path.insert(0, str(HERE.parent / "clients"))
import environments  # noqa: E402


class Process:
    """A child process, pinned to a core, and its accounting by the kernel."""

    def __init__(
        self,
        command: list[Any],
        *,
        core: int,
        environment: dict[str, str] | None = None,
        **given: Any,
    ) -> None:
        cores = sorted(os.sched_getaffinity(0))
        mine = {cores[core % len(cores)]}
        given = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **given}
        self.started = time.perf_counter()
        self._process = subprocess.Popen(
            [str(word) for word in command],
            env={**os.environ, **(environment or {})},
            **given,
        )
        self.pid = self._process.pid
        os.sched_setaffinity(self.pid, mine)
        self.streams = self._process

    def cpu(self) -> float:
        """User and system time of the process and of its waited-for children, in seconds."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")

    def resident(self) -> float:
        """MiB of memory that are resident."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def hold(self) -> None:
        """Stop it, so that it takes nothing from the one under load."""
        self._process.send_signal(signal.SIGSTOP)

    def go(self) -> None:
        """Let it run again."""
        self._process.send_signal(signal.SIGCONT)

    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def end(self, number: int = signal.SIGTERM) -> None:
        """End it, whatever it is doing."""
        self.go()
        self._process.send_signal(number)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Peer(NamedTuple):
    """A server that listens: where its MCP endpoint is, and its process."""

    name: str
    process: Process
    port: int
    path: str

    @property
    def url(self) -> str:
        """Its endpoint."""
        return f"http://127.0.0.1:{self.port}{self.path}"


class Gateway(NamedTuple):
    """A crossdock folder that is ready to be served: where, and the paths of its servers."""

    folder: Path
    environment: dict[str, str]
    paths: dict[str, str]  # account → /mcp/{token}


def free_port() -> int:
    """Return a port of loopback that nobody uses."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def wait_for(port: int, process: Process, seconds: float = 30) -> None:
    """Wait until somebody listens there."""
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return
        if not process.alive():
            sys.exit("a server of the bench ended at its start")
        time.sleep(0.002)
    sys.exit(f"nobody listens on {port} after {seconds:g} s")


def start(stack: ExitStack, command: list[Any], port: int, **given: Any) -> Process:
    """Start a server and end it with the stack."""
    process = Process(command, **given)
    stack.callback(process.end)
    wait_for(port, process)
    return process


def provider(stack: ExitStack, *options: Any, port: int | None = None) -> int:
    """Start the upstream on the core of the load; the port."""
    port = port or free_port()
    start(stack, [sys.executable, HERE / "provider.py", port, *options], port, core=0)
    return port


# --- crossdock -------------------------------------------------------------------------------


def gateway(
    folder: Path,
    base_url: str,
    *served: str,
    secrets: int = 0,
    tools: int = TOOLS,
    **environment: str,
) -> Gateway:
    """Make a gateway's folder with accounts `shop`, `slow` and `many`; those `served` get a server.

    `many` is of an adapter with so many `tools`. Besides there are accounts with so many `secrets`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    accounts = {
        "shop": ("malomo", base_url),
        "slow": ("malomo", f"{base_url}/slow"),
        "many": ("bench", base_url),
        **{f"other{n}": ("malomo", base_url) for n in range(secrets)},
    }
    keys = {f"BENCH_KEY_{n}": f"sk_other_{n:06}_{n * 7919:08}" for n in range(secrets)}
    text = [
        "[upstream]",
        'allow_private = ["127.0.0.1/32"]',
        "[limits]",
        "streams_per_server = 4000",
        "streams_in_all = 4000",
        "connections = 8192",
        "[log]",
        'format = "json"',
    ]
    for name, (adapter, url) in accounts.items():
        key = "BENCH_KEY" + name.replace("other", "_") if name.startswith("other") else "BENCH_KEY"
        text += [
            f"[accounts.{name}]",
            f'integration = "{adapter}"',
            f'settings = {{ base_url = "{url}" }}',
            f'credentials = {{ api_key = "env:{key}" }}',
        ]
    (folder / "config.toml").write_text("\n".join(text) + "\n")
    _many_tools(folder / "plugins" / "bench", tools)
    surroundings = {"BENCH_KEY": KEY, **keys, **environment}
    made = {name: _server(folder, name, surroundings) for name in served or ("shop",)}
    return Gateway(folder, surroundings, {name: f"/mcp/{token}" for name, token in made.items()})


def crossdock(
    stack: ExitStack, made: Gateway, account: str = "shop", *watched: Any, port: int | None = None
) -> Peer:
    """Serve a folder; with words for crossdock_watched.py, under that."""
    port = port or free_port()
    program = [Path(sys.executable).with_name("crossdock")]
    if watched:
        program = [sys.executable, HERE / "servers" / "crossdock_watched.py", *watched]
    command = [*program, "serve", "--port", port, "--config", made.folder / "config.toml"]
    process = start(stack, command, port, core=1, environment=made.environment)
    return Peer("crossdock", process, port, made.paths[account])


def _server(folder: Path, account: str, environment: dict[str, str]) -> str:
    words = ["server", "create", account, "--name", "bench", "--json"]
    expires = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    words += ["--config", str(folder / "config.toml"), "--expires-at", expires]
    made = subprocess.run(
        [Path(sys.executable).with_name("crossdock"), *words],
        check=True,
        capture_output=True,
        env={**os.environ, **environment},
    )
    return str(json.loads(made.stdout)["token"])


def _many_tools(folder: Path, tools: int) -> None:
    (folder / "docs").mkdir(parents=True, exist_ok=True)
    verbs = [f"verb{n}" for n in range(tools)]
    (folder / "__init__.py").write_text(
        "from crossdock.adapter import hookimpl, load_adapter\n\n\n"
        "@hookimpl\ndef crossdock_adapters():\n    yield load_adapter(__name__)\n"
    )
    (folder / "adapter.toml").write_text(
        "\n".join(
            [
                "format = 1",
                'name = "bench"',
                'title = "Bench"',
                'base_url = "https://api.bench.example"',
                '[credentials.api_key]\nabout = "Any."',
                '[auth]\nscheme = "api_key"\nheader = "Authorization"\nformat = "Bearer {api_key}"',
                '[verify]\nget = "/orders"',
                '[resources.gates]\ntags = ["yard"]\n[resources.gates.methods]',
                *(
                    f'{verb} = {{ http = "GET /orders/{{id}}/{verb}", effect = "read" }}'
                    for verb in verbs
                ),
            ]
        )
        + "\n"
    )
    # A page for each tool: what a list may not look at on every request.
    for verb in verbs:
        (folder / "docs" / f"{verb}.md").write_text(
            f"# Gates\n\n## bench_gates_{verb}\n\n"
            "Read one order whole, with every scan of each of its shipments, by the id of the provider.\n\n"
            '```toml\n[path.id]\ntype = "string"\ndescription = "The order\'s id."\n```\n'
        )


# --- the others ------------------------------------------------------------------------------


def reference(stack: ExitStack, upstream: str, *tools: Path, **environment: str) -> Peer:
    """Serve the bare handler; `tools` is a file with the bytes of a list."""
    port = free_port()
    command = [sys.executable, HERE / "servers" / "bare.py", port, upstream, *tools]
    process = start(stack, command, port, core=1, environment=environment)
    return Peer("bare", process, port, "/mcp")


def sdk(stack: ExitStack, name: str, upstream: str, tools: int) -> Peer:
    """Serve what somebody else's library makes of the same tools."""
    port = free_port()
    if name == "typescript":
        script = HERE / "servers" / "typescript_sdk.mjs"
        command = [environments.node(), script, environments.npm_folder(), port, upstream, tools]
    else:
        python = environments.python_client("peers")
        command = [python, HERE / "servers" / "python_sdk.py", name, port, upstream, tools]
    return Peer(name, start(stack, command, port, core=1), port, "/mcp")


def versions(names: list[str]) -> dict[str, str]:
    """Return what the measured peers are made of."""
    import platform
    from importlib.metadata import version

    found = {"python": platform.python_version()}
    found |= {name: version(name) for name in ("crossdock", "aiohttp", "msgspec", "uvloop")}
    if {"mcp", "fastmcp"} & set(names):
        said = subprocess.run(
            [
                environments.python_client("peers"),
                "-c",
                "from importlib.metadata import version as v;print(v('mcp'), v('fastmcp'), v('uvicorn'))",
            ],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split()
        found |= dict(zip(("mcp", "fastmcp", "uvicorn"), said, strict=True))
    if "typescript" in names:
        package = environments.npm_folder() / "node_modules/@modelcontextprotocol/sdk/package.json"
        found["typescript-sdk"] = json.loads(package.read_text())["version"]
        node = subprocess.run(
            [environments.node(), "--version"], check=True, capture_output=True, text=True
        )
        found["node"] = node.stdout.strip()
    return found
