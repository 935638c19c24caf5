"""What is measured, suite by suite. Each gives figures by peer, and ratios to the reference of the same round."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import certificates
import peers
from peers import HERE, Peer, Process
from provider import RECORDS

CONNECTIONS = 32
LIST = {
    "method": "tools/call",
    "params": {
        "name": "list_all_malomo_orders",
        "arguments": {"customer_email": "a@example.com"},
    },
    "shows": "records",
    "expected": RECORDS["order"],
}
LARGE = {
    "method": "tools/call",
    "params": {"name": "get_single_malomo_order_by_id", "arguments": {"id": "large"}},
    "shows": "record",
    "expected": RECORDS["large"],
}
TOOLS = {"method": "tools/list", "params": {}, "shows": "tools", "expected": peers.TOOLS}
Figures = dict[str, dict[str, float]]


class Options(NamedTuple):
    """How much is measured."""

    rounds: int
    seconds: float
    peers: tuple[str, ...]
    folder: Path
    plant: int  # microseconds planted into every call
    calls: int  # of the memory suite


def load(peer: Peer, request: dict[str, Any], seconds: float, **given: Any) -> dict[str, float]:
    """Send one kind of request for so long; every answer is checked by value."""
    return await_load(begin_load(peer, request, seconds, **given))


def begin_load(peer: Peer, request: dict[str, Any], seconds: float, **given: Any) -> Process:
    """Begin to send; `await_load` waits for its end."""
    order = {
        "host": "127.0.0.1",
        "port": peer.port,
        "path": peer.path,
        "headers": {"MCP-Protocol-Version": "2025-11-25"},
        "connections": CONNECTIONS,
        "seconds": seconds,
        "calls": 0,
        **request,
        **given,
    }
    process = Process(
        [sys.executable, HERE / "load.py"],
        core=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    process.streams.stdin.write(json.dumps(order))
    process.streams.stdin.close()
    process.streams.stdin = None
    return process


def await_load(process: Process) -> dict[str, float]:
    """Wait for the end of a load, and return what it measured."""
    said, complaint = process.streams.communicate()
    if process.streams.returncode:
        sys.exit(complaint.strip()[-600:])
    return json.loads(said)


def side_by_side(
    found: Sequence[Peer], request: dict[str, Any], options: Options, least: str = "bare"
) -> Figures:
    """Measure peers in alternating rounds; while one works, the others are held."""
    costs: dict[str, list[dict[str, float]]] = {peer.name: [] for peer in found}
    for peer in found:
        load(peer, request, min(1.0, options.seconds))
        peer.process.hold()
    for number in range(options.rounds):
        for peer in found if number % 2 == 0 else reversed(found):
            peer.process.go()
            before = peer.process.cpu()
            got = load(peer, request, options.seconds)
            cost = (peer.process.cpu() - before) / got["answers"] * 1e6
            costs[peer.name].append(
                {
                    "cpu_us": cost,
                    "per_second": got["answers"] / got["seconds"],
                    "p50_ms": got["p50"] * 1e3,
                    "p99_ms": got["p99"] * 1e3,
                }
            )
            peer.process.hold()
    for peer in found:
        peer.process.go()
    figures = {}
    for name, rounds in costs.items():
        pairs = zip(rounds, costs[least], strict=True)
        ratios = [mine["cpu_us"] / other["cpu_us"] for mine, other in pairs]
        figures[name] = {
            **{key: statistics.median(one[key] for one in rounds) for key in rounds[0]},
            "ratio": statistics.median(ratios),
            "ratio_least": min(ratios),
            "ratio_most": max(ratios),
        }
    return figures


def _peers(stack: ExitStack, options: Options, upstream: str, made: peers.Gateway) -> list[Peer]:
    watched = ["--plant", options.plant] if options.plant else []
    found = []
    for name in options.peers:
        if name == "crossdock":
            found.append(peers.crossdock(stack, made, "shop", *watched))
        elif name == "bare":
            found.append(peers.reference(stack, upstream))
        else:
            found.append(peers.sdk(stack, name, upstream, 2))
    return found


def _calls(options: Options, request: dict[str, Any], *provided: Any, secrets: int = 0) -> Figures:
    with ExitStack() as stack:
        upstream = f"http://127.0.0.1:{peers.provider(stack, *provided)}"
        made = peers.gateway(options.folder / f"calls{secrets}", upstream, secrets=secrets)
        return side_by_side(_peers(stack, options, upstream, made), request, options)


def calls(options: Options) -> Figures:
    """A call whose answer has 2 KB."""
    return _calls(options, LIST)


def large(options: Options) -> Figures:
    """A call whose answer has 100 KB."""
    return _calls(options, LARGE)


def secrets(options: Options) -> Figures:
    """A call of 2 KB where the gateway knows a thousand secrets."""
    own = options._replace(peers=("crossdock", "bare"))
    return _calls(own, LIST, secrets=1000)


def delayed(options: Options) -> Figures:
    """A call of 2 KB to a provider that takes 20 ms, and what the peer adds to them."""
    with ExitStack() as stack:
        port = peers.provider(stack, "--delay", 0.02)
        upstream = f"http://127.0.0.1:{port}"
        made = peers.gateway(options.folder / "delayed", upstream)
        figures = side_by_side(_peers(stack, options, upstream, made), LIST, options)
    for one in figures.values():
        one["added_p50_ms"] = one["p50_ms"] - 20
        one["added_p99_ms"] = one["p99_ms"] - 20
    return figures


def tls(options: Options) -> Figures:
    """A call of 2 KB to a provider behind TLS."""
    served, authority = certificates.make(options.folder)
    own = options._replace(peers=("crossdock", "bare"))
    with ExitStack() as stack:
        upstream = f"https://localhost:{peers.provider(stack, '--certificate', served)}"
        trusted = {"SSL_CERT_FILE": str(authority)}
        made = peers.gateway(options.folder / "tls", upstream, **trusted)
        found = [peers.crossdock(stack, made), peers.reference(stack, upstream, **trusted)]
        return side_by_side(found, LIST, own)


def lists(options: Options) -> Figures:
    """`tools/list` of 100 tools, beside a bare handler that sends stored bytes of the same length."""
    with ExitStack() as stack:
        upstream = f"http://127.0.0.1:{peers.provider(stack)}"
        made = peers.gateway(options.folder / "lists", upstream, "many")
        own = peers.crossdock(stack, made, "many")
        stored = options.folder / "tools.json"
        stored.write_bytes(_tools_of(own))
        found = [own, peers.reference(stack, upstream, stored)]
        others = [name for name in options.peers if name not in ("crossdock", "bare")]
        found += [peers.sdk(stack, name, upstream, peers.TOOLS) for name in others]
        return side_by_side(found, TOOLS, options)


def _tools_of(peer: Peer) -> bytes:
    import urllib.request

    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    asked = urllib.request.Request(
        peer.url,
        json.dumps(message).encode(),
        {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"},
    )
    with urllib.request.urlopen(asked) as answer:
        tools = json.load(answer)["result"]["tools"]
    return json.dumps(tools, separators=(",", ":"), ensure_ascii=False).encode()


def streams(options: Options) -> Figures:
    """Memory of an idle event stream with its session, in KiB: a thousand are open."""
    count = 1000
    with ExitStack() as stack:
        upstream = f"http://127.0.0.1:{peers.provider(stack)}"
        made = peers.gateway(options.folder / "streams", upstream)
        figures: Figures = {}
        for peer in (peers.crossdock(stack, made), peers.reference(stack, upstream)):
            session = ["--session"] if peer.name == "crossdock" else []
            load(peer, LIST, 1.0)
            before = peer.process.resident()
            held = Process(
                [sys.executable, HERE / "streams.py", peer.url, count, *session],
                core=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=None,
            )
            if held.streams.stdout.readline() != b"open\n":
                sys.exit(f"{peer.name} opened no {count} streams")
            time.sleep(1)
            grown = peer.process.resident() - before
            held.streams.stdin.close()
            held.streams.wait()
            figures[peer.name] = {"kib_per_stream": grown * 1024 / count}
    return figures


def start(options: Options) -> Figures:
    """Seconds from exec to the first right answer of a call, and MiB resident a while after."""
    with ExitStack() as stack:
        upstream = f"http://127.0.0.1:{peers.provider(stack)}"
        made = peers.gateway(options.folder / "start", upstream)
        kinds: dict[str, Callable[[ExitStack], Peer]] = {
            "crossdock": lambda inner: peers.crossdock(inner, made),
            "bare": lambda inner: peers.reference(inner, upstream),
        }
        for name in options.peers:
            if name not in kinds:
                kinds[name] = lambda inner, name=name: peers.sdk(inner, name, upstream, 2)
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in kinds}
        for _ in range(max(3, options.rounds)):
            for name, begun in kinds.items():
                with ExitStack() as inner:
                    peer = begun(inner)
                    _first_answer(peer)
                    seconds = time.perf_counter() - peer.process.started
                    time.sleep(1)
                    found[name].append((seconds, peer.process.resident()))
    return {
        name: {
            "first_answer_seconds": statistics.median(one[0] for one in rounds),
            "idle_mib": statistics.median(one[1] for one in rounds),
        }
        for name, rounds in found.items()
    }


def _first_answer(peer: Peer) -> None:
    import urllib.request

    message = {"jsonrpc": "2.0", "id": 1, "method": LIST["method"], "params": LIST["params"]}
    asked = urllib.request.Request(
        peer.url,
        json.dumps(message).encode(),
        {
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": "2025-11-25",
        },
    )
    with urllib.request.urlopen(asked) as answer:
        if RECORDS["order"]["id"] not in answer.read().decode():
            sys.exit(f"{peer.name} gave another first answer")


def memory(options: Options) -> Figures:
    """MiB resident after a tenth of many calls and after all of them."""
    with ExitStack() as stack:
        upstream = f"http://127.0.0.1:{peers.provider(stack)}"
        made = peers.gateway(options.folder / "memory", upstream)
        peer = peers.crossdock(stack, made)
        tenth = options.calls // 10
        load(peer, LIST, 3600.0, calls=tenth)
        early = peer.process.resident()
        load(peer, LIST, 3600.0, calls=options.calls - tenth)
        late = peer.process.resident()
    return {
        "crossdock": {
            "calls": options.calls,
            "early_mib": early,
            "late_mib": late,
            "grown_mib": late - early,
        }
    }


def slow_tenant(options: Options) -> Figures:
    """A quick account alone, and beside one whose provider takes 5 s for each of 48 calls."""
    with ExitStack() as stack:
        upstream = f"http://127.0.0.1:{peers.provider(stack)}"
        made = peers.gateway(options.folder / "slow", upstream, "shop", "slow")
        peer = peers.crossdock(stack, made)
        slow = peer._replace(path=made.paths["slow"])
        load(peer, LIST, 1.0)
        alone, beside = [], []
        for _ in range(options.rounds):
            alone.append(_once(peer, options.seconds))
            # The slow calls outlast the quick ones, and are waited for.
            behind = begin_load(slow, LIST, options.seconds + 1, connections=48)
            time.sleep(0.5)
            beside.append(_once(peer, options.seconds))
            await_load(behind)
    figures: Figures = {}
    for name, rounds in (("alone", alone), ("beside a slow one", beside)):
        figures[name] = {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}
    pairs = zip(beside, alone, strict=True)
    ratios = [one["p99_ms"] / other["p99_ms"] for one, other in pairs]
    figures["beside a slow one"]["ratio"] = statistics.median(ratios)
    return figures


def _once(peer: Peer, seconds: float) -> dict[str, float]:
    got = load(peer, LIST, seconds)
    return {
        "per_second": got["answers"] / got["seconds"],
        "p50_ms": got["p50"] * 1e3,
        "p99_ms": got["p99"] * 1e3,
    }


SUITES: dict[str, Callable[[Options], Figures]] = {
    "calls": calls,
    "large": large,
    "secrets": secrets,
    "delayed": delayed,
    "tls": tls,
    "lists": lists,
    "streams": streams,
    "start": start,
    "slow_tenant": slow_tenant,
    "memory": memory,
}
