"""The HTTP client against real sockets: sent once, within limits, nothing of one answer in the next."""

from __future__ import annotations

import asyncio
import gzip
import ipaddress
import random
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import uvloop
from harness import certificates, raw_provider
from harness.patience import turns, until
from harness.raw_provider import OK, RawProvider, Step, close, half_close, reset, stall
from yarl import URL

from crossdock.adapter.manifest import FailuresSpec
from crossdock.authoring import UpstreamReply
from crossdock.calls.targets import header_lines, origin_of
from crossdock.calls.upstream import Upstream, UpstreamLimits
from crossdock.errors import UpstreamFailure

LOOPBACK = [ipaddress.ip_network("127.0.0.0/8")]
LIMITS = UpstreamLimits(
    connect_seconds=5.0,
    idle_seconds=5.0,
    total_seconds=10.0,
    answer_bytes=200_000,
    connections=4,
)
QUICK = msgspec.structs.replace(LIMITS, idle_seconds=0.4, total_seconds=1.0, connect_seconds=0.8)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
HALF = HEAD + b'Content-Length: 8\r\n\r\n{"id'


class Sender:
    """An upstream, and a provider to send to."""

    def __init__(self, upstream: Upstream, provider: RawProvider, url: str) -> None:
        self.upstream = upstream
        self.provider = provider
        self.url = url

    async def send(
        self, verb: str = "GET", *, body: bytes | None = None, url: str = "", **more: Any
    ) -> UpstreamReply:
        """Send once, to the provider or elsewhere."""
        where = URL(url or f"{self.url}/items?a=b")
        return await self.upstream.send(
            verb,
            origin_of(where),
            where.raw_path_qs,
            header_lines(),
            body,
            FailuresSpec(),
            **{"account": "a", **more},
        )

    async def refused(self, *args: Any, **more: Any) -> UpstreamFailure:
        """Send what must fail."""
        with pytest.raises(UpstreamFailure) as caught:
            await self.send(*args, **more)
        assert len(str(caught.value)) < 200
        return caught.value


@pytest.fixture
async def sender() -> AsyncIterator[Sender]:
    upstream = Upstream(LIMITS, LOOPBACK)
    async with raw_provider.listening() as provider:
        yield Sender(upstream, provider, provider.url())
        await upstream.close()


@pytest.fixture
async def hurried() -> AsyncIterator[Sender]:
    upstream = Upstream(QUICK, LOOPBACK)
    async with raw_provider.listening() as provider:
        yield Sender(upstream, provider, provider.url())
        await upstream.close()


# --- what is sent ----------------------------------------------------------------------------


async def test_a_request_is_as_short_as_can_be_and_says_whom_it_is_for(sender: Sender) -> None:
    await sender.send()
    head = sender.provider.requests[0].split(b"\r\n")
    assert head[0] == b"GET /items?a=b HTTP/1.1"
    assert head[1] == b"Host: 127.0.0.1:%d" % sender.provider.port
    assert {line.partition(b":")[0] for line in head[2:-2]} == {
        b"User-Agent", b"Accept", b"Accept-Encoding",
    }  # fmt: skip


@pytest.mark.parametrize("verb", ["POST", "PUT", "PATCH", "DELETE"])
async def test_a_request_that_may_have_a_body_says_how_long_it_is(
    sender: Sender, verb: str
) -> None:
    for body in (None, b"", b"{}"):
        await sender.send(verb, body=body)
    lengths = [b"Content-Length: 0\r\n\r\n", b"Content-Length: 0\r\n\r\n", b": 2\r\n\r\n{}"]
    for request, end in zip(sender.provider.requests, lengths, strict=True):
        assert request.endswith(end)


async def test_a_body_of_many_segments_arrives_whole(sender: Sender) -> None:
    body = random.Random(1).randbytes(3_000_000)
    await sender.send("POST", body=body)
    assert sender.provider.requests[0].endswith(body)


# --- connections -----------------------------------------------------------------------------


async def test_a_connection_is_used_again_and_belongs_to_one_account(sender: Sender) -> None:
    for _ in range(5):
        assert (await sender.send()).body == b'{"id":1}'
    assert (sender.provider.connections, len(sender.provider.requests)) == (1, 5)
    await sender.send(account="b")
    assert sender.provider.connections == 2


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param((HEAD + b"Connection: close\r\nContent-Length: 2\r\n\r\n{}",), id="close"),
        pytest.param((b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",), id="HTTP/1.0"),
        pytest.param((HEAD + b"\r\n{}", close), id="no length"),
        pytest.param((HEAD + b"\r\n{}", half_close), id="no length, half closed"),
        pytest.param((HEAD + b"Content-Length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\n",), id="more behind"),
        pytest.param((HEAD + b"Keep-Alive: timeout=1\r\nContent-Length: 2\r\n\r\n{}",), id="short"),
        pytest.param((HEAD + b"Content-Length: 2\r\n\r\n{}", close), id="closed behind"),
        pytest.param((HEAD + b"Content-Length: 2\r\n\r\n{}", half_close), id="half closed behind"),
        pytest.param((HEAD + b"Content-Length: 2\r\n\r\n{}", reset), id="reset behind"),
    ],
)
async def test_a_connection_that_is_not_certainly_clean_is_not_used_again(
    sender: Sender, answer: tuple[Step, ...]
) -> None:
    sender.provider.plays(answer, (OK,))
    assert (await sender.send()).body == b"{}"
    await until(lambda: sender.provider.gone == 1)
    await turns(3)
    assert (await sender.send()).body == b'{"id":1}'
    assert (sender.provider.connections, len(sender.provider.requests)) == (2, 2)


async def test_what_comes_unasked_ends_a_connection_and_is_nobodys_answer(sender: Sender) -> None:
    go = asyncio.Event()

    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await go.wait()

    stolen = HEAD + b"Content-Length: 8\r\n\r\nstolen!!"
    sender.provider.plays((OK, wait, stolen, stall), (OK,))
    assert (await sender.send()).body == b'{"id":1}'
    go.set()
    await until(lambda: sender.provider.connections == 1)
    await turns(20)
    assert (await sender.send()).body == b'{"id":1}'
    assert sender.provider.connections == 2


@pytest.mark.parametrize("last", [b"", HEAD + b"Content-Length: 8\r\n\r\nstolen!!"])
async def test_what_came_a_moment_ago_is_seen_before_a_request_is_sent_into_it(
    sender: Sender, last: bytes
) -> None:
    server = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{server.getsockname()[1]}/"
    answered, over = threading.Event(), threading.Event()

    def provide() -> None:
        server.settimeout(5)
        for final in (False, True):
            sock = server.accept()[0]
            with sock:
                sock.settimeout(5)
                sock.recv(65_536)
                sock.sendall(OK)
                if not final:
                    answered.wait(5)
                    sock.sendall(last)
            over.set()

    providing = asyncio.create_task(asyncio.to_thread(provide))
    assert (await sender.send("POST", url=url)).body == b'{"id":1}'
    answered.set()
    over.wait(5)  # the event loop stands still: it cannot have heard
    with server:
        assert (await sender.send("POST", url=url)).body == b'{"id":1}'
    await providing


async def test_a_cancelled_request_takes_its_connection_along(sender: Sender) -> None:
    late = asyncio.Event()

    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await late.wait()

    stolen = HEAD + b"Content-Length: 8\r\n\r\nstolen!!"
    for begun in (b"", HALF[:20], HALF):
        sender.provider.plays((begun, wait, stolen), (OK,))
        cut = asyncio.create_task(sender.send())
        await until(lambda: sender.provider.requests)
        await turns(5)
        cut.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cut
        late.set()
        assert (await sender.send()).body == b'{"id":1}'
        late.clear()


async def test_a_provider_that_answers_before_it_has_read_everything_is_heard(
    sender: Sender,
) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        await gone.wait()
        writer.close()
        await writer.wait_closed()

    gone = asyncio.Event()
    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    failure = await sender.refused("POST", url=url, body=b"x" * 30_000_000)
    assert failure.status == 413
    gone.set()
    server.close()
    await server.wait_closed()


async def test_idle_connections_are_as_few_as_places_however_many_origins(sender: Sender) -> None:
    async with raw_provider.listening() as other:
        calls = [sender.send() for _ in range(4)]
        await asyncio.gather(*calls)
        await asyncio.gather(*[sender.send(url=f"{other.url()}/") for _ in range(4)])
        await until(lambda: sender.provider.gone == 4)
        assert other.gone == 0


# --- places ----------------------------------------------------------------------------------


async def test_who_finds_no_connection_free_waits_and_is_served_in_turn(sender: Sender) -> None:
    go = asyncio.Event()

    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await go.wait()

    sender.provider.plays((wait, OK))
    done: list[int] = []

    async def numbered(number: int) -> None:
        await sender.send()
        done.append(number)

    tasks = [asyncio.create_task(numbered(number)) for number in range(12)]
    await until(lambda: len(sender.provider.requests) == 4)
    other = asyncio.create_task(sender.send(account="b"))  # waits behind nobody
    await until(lambda: len(sender.provider.requests) == 5)
    go.set()
    await asyncio.gather(other, *tasks)
    assert sorted(done[:4]) == [0, 1, 2, 3]
    assert sender.provider.connections == 5


async def test_places_are_not_lost_to_whoever_gives_up(sender: Sender) -> None:
    chance = random.Random(5)
    sender.provider.plays((OK,))

    async def impatient() -> None:
        task = asyncio.create_task(sender.send())
        await turns(chance.randint(0, 12))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
            raise asyncio.CancelledError  # it was quick

    for _ in range(30):
        waiting = [asyncio.create_task(sender.send()) for _ in range(4)]
        await asyncio.gather(*[impatient() for _ in range(20)])
        assert [(await one).body for one in waiting] == [b'{"id":1}'] * 4
    replies = await asyncio.gather(*[sender.send() for _ in range(40)])
    assert {reply.body for reply in replies} == {b'{"id":1}'}


async def test_who_waits_too_long_for_a_connection_has_certainly_sent_nothing(
    hurried: Sender,
) -> None:
    pool = hurried.upstream._pools.of("a")
    held = [await pool.connected(origin_of(URL(hurried.url))) for _ in range(4)]
    failure = await hurried.refused("POST")
    assert (failure.kind, failure.sent, failure.retryable) == ("upstream_timeout", False, True)
    assert hurried.provider.requests == []
    pool.give(held[0], origin_of(URL(hurried.url)), 0.0)
    assert (await hurried.send("POST")).body == b'{"id":1}'


# --- faults ----------------------------------------------------------------------------------

BROKEN = {
    "dropped": ((close,), "upstream_unreachable"),
    "half closed": ((half_close,), "upstream_unreachable"),
    "reset": ((reset,), "upstream_unreachable"),
    "dropped in the head": ((HALF[:20], close), "upstream_malformed"),
    "half closed in the head": ((HALF[:20], half_close), "upstream_malformed"),
    "reset in the head": ((HALF[:20], reset), "upstream_malformed"),
    "dropped in the body": ((HALF, close), "upstream_malformed"),
    "half closed in the body": ((HALF, half_close), "upstream_malformed"),
    "reset in the body": ((HALF, reset), "upstream_malformed"),
    "reset without a length": ((HEAD + b"\r\n{}", reset), "upstream_malformed"),
    "no last chunk": (
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", close), "upstream_malformed"
    ),
    "half a gzip": (
        (HEAD + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"{}")[:-3], close),
        "upstream_malformed",
    ),
    "no HTTP": ((b"220 ready\r\n\r\n", stall), "upstream_malformed"),
    "another protocol": ((b"HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", stall),
        "upstream_malformed"),
    "a head without end": ((HEAD + b"X: " + b"x" * 99_000, stall), "upstream_malformed"),
    "two lengths": (
        (HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}}", stall), "upstream_malformed"
    ),
    "too large": ((HEAD + b"\r\n" + b" " * 300_000, stall), "upstream_too_large"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("verb", ["GET", "PUT", "POST", "DELETE"])
@pytest.mark.parametrize("kept", [False, True], ids=["new", "kept"])
async def test_a_broken_answer_is_a_failure_and_the_request_went_out_once(
    sender: Sender, name: str, verb: str, kept: bool
) -> None:
    script, kind = BROKEN[name]
    if kept:
        await sender.send()
    sender.provider.plays(script, (OK,))
    failure = await sender.refused(verb)
    assert (failure.kind, failure.sent) == (kind, True)
    assert len(sender.provider.requests) == 1
    assert (await sender.send()).body == b'{"id":1}'
    assert len(sender.provider.requests) == 2


@pytest.mark.parametrize(
    "script",
    [
        pytest.param((stall,), id="silent"),
        pytest.param((HALF[:20], stall), id="in the head"),
        pytest.param((b"HTTP/1.1 100 Continue\r\n\r\n", stall), id="behind an interim answer"),
        pytest.param((HALF, stall), id="in the body"),
        pytest.param((HEAD + b"\r\n{}", stall), id="without a length"),
        pytest.param(
            (HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", stall), id="in the chunks"
        ),
    ],
)
@pytest.mark.parametrize("verb", ["GET", "POST"])
async def test_a_stalled_answer_is_a_timeout(
    hurried: Sender, script: tuple[Step, ...], verb: str
) -> None:
    hurried.provider.plays(script, (OK,))
    failure = await hurried.refused(verb)
    assert (failure.kind, failure.sent, failure.retryable) == ("upstream_timeout", True, True)
    assert (await hurried.send()).body == b'{"id":1}'


async def test_an_answer_at_a_trickle_ends_with_the_total_time(hurried: Sender) -> None:
    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b" ")
            await writer.drain()
            await turns(5)

    hurried.provider.plays((HEAD + b"Content-Length: 199999\r\n\r\n", trickle), (OK,))
    assert (await hurried.refused()).kind == "upstream_timeout"
    await until(lambda: hurried.provider.gone == 1)


async def test_a_provider_that_takes_nothing_of_a_request_is_a_timeout(hurried: Sender) -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    failure = await hurried.refused("POST", url=f"http://127.0.0.1:{port}/", body=b"x" * 30_000_000)
    assert failure.kind == "upstream_timeout"
    listening.close()


@pytest.mark.parametrize("size", [70_000, 1_000_000])
async def test_of_an_error_page_the_status_counts_and_no_more_is_read_than_is_worth_it(
    sender: Sender, size: int
) -> None:
    head = b"HTTP/1.1 503 x\r\nContent-Length: %d\r\n\r\n" % size
    sender.provider.plays((head + b" " * size,), (OK,))
    failure = await sender.refused()
    assert (failure.kind, failure.status) == ("upstream_error", 503)
    assert (await sender.send()).body == b'{"id":1}'


async def test_answers_cut_anywhere_never_mix(sender: Sender) -> None:
    chance = random.Random(2)

    def scripted(number: int) -> tuple[Step, ...]:
        body = b'{"id":%d}' % number
        if number % 3 == 0:
            data = HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (
                len(body),
                body,
            )
        elif number % 3 == 1:
            packed = gzip.compress(body)
            data = HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b" % (
                len(packed), packed,
            )  # fmt: skip
        else:
            data = HEAD + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        place = chance.randint(1, len(data) - 1)
        if number % 7 == 0:
            return (data[:place], reset)
        if number % 11 == 0:
            return (data + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen",)
        return (data[:place], data[place:])

    sender.provider.plays(*[scripted(number) for number in range(300)])
    ids: list[bytes] = []
    for number in range(300):
        if number % 7 == 0:
            assert (await sender.refused()).kind == "upstream_malformed"
        else:
            ids.append((await sender.send()).body)
    assert ids == [b'{"id":%d}' % number for number in range(300) if number % 7]


# --- addresses -------------------------------------------------------------------------------


def resolving(
    monkeypatch: pytest.MonkeyPatch, *addresses: str
) -> Callable[..., Awaitable[list[Any]]]:
    """Let every name lead to these addresses."""
    asked: list[str] = []

    async def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        kinds = [socket.AF_INET6 if ":" in one else socket.AF_INET for one in addresses]
        return [
            (kind, socket.SOCK_STREAM, 6, "", (one, port, *((0, 0) if ":" in one else ())))
            for kind, one in zip(kinds, addresses, strict=True)
        ]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    return asked  # type: ignore[return-value]


async def test_the_next_address_is_tried_and_a_private_one_never(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap = socket.create_server(("127.0.0.2", sender.provider.port))
    trap.setblocking(False)
    upstream = Upstream(LIMITS, [ipaddress.ip_network("127.0.0.1/32"), ipaddress.ip_network("::1")])
    picky = Sender(upstream, sender.provider, sender.provider.url(host="shop.example"))
    # ::1 may be connected to, and nothing listens there; 127.0.0.2 may not.
    resolving(monkeypatch, "127.0.0.2", "::1", "127.0.0.1", "10.0.0.1")
    assert (await picky.send()).body == b'{"id":1}'
    with pytest.raises(BlockingIOError):
        trap.accept()
    await upstream.close()
    trap.close()


async def test_a_name_that_leads_to_private_addresses_only_is_refused(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    for scheme in ("https", "http"):
        upstream = Upstream(LIMITS)
        resolving(monkeypatch, "127.0.0.1", "::1", "10.1.2.3")
        url = f"{scheme}://shop.example:{sender.provider.port}/"
        failure = await Sender(upstream, sender.provider, url).refused("POST", url=url)
        assert (failure.kind, failure.sent) == ("upstream_unreachable", False)
        assert "allow_private" in str(failure)
        await upstream.close()
    assert sender.provider.connections == 0


async def test_a_name_that_turns_to_a_private_address_is_judged_again(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream = Upstream(LIMITS, [ipaddress.ip_network("127.0.0.1/32")])
    changing = Sender(upstream, sender.provider, sender.provider.url(host="shop.example"))
    sender.provider.plays((HEAD + b"Connection: close\r\nContent-Length: 2\r\n\r\n{}",))
    resolving(monkeypatch, "127.0.0.1")
    await changing.send()
    upstream._dialer._resolving.clear()  # as ten seconds later
    resolving(monkeypatch, "127.0.0.2")
    assert "127.0.0.2" in str(await changing.refused())
    await upstream.close()


async def test_a_name_is_resolved_once_for_all_who_ask_at_once(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: Any = resolving(monkeypatch, "127.0.0.1")
    url = sender.provider.url(host="shop.example") + "/"
    await asyncio.gather(*[sender.send(url=url) for _ in range(4)])
    assert asked == ["shop.example"]


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".example", "nowhere.invalid"])
async def test_a_name_that_leads_nowhere_is_unreachable(sender: Sender, host: str) -> None:
    failure = await sender.refused("POST", url=f"https://{host}/")
    assert (failure.kind, failure.sent) == ("upstream_unreachable", False)


async def test_a_resolver_that_does_not_answer_is_waited_for_no_longer_than_a_connection(
    hurried: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def getaddrinfo(*args: Any, **more: Any) -> Any:
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    failure = await hurried.refused("POST", url="https://shop.example/")
    assert (failure.kind, failure.sent) == ("upstream_unreachable", False)


# --- TLS -------------------------------------------------------------------------------------


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> certificates.Authority:
    made = certificates.authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.file))
    return made


async def over_tls(context: ssl.SSLContext, host: str = "127.0.0.1") -> UpstreamFailure:
    """Send a write where it must fail."""
    upstream = Upstream(LIMITS, LOOPBACK)
    async with raw_provider.listening(context) as provider:
        sender = Sender(upstream, provider, provider.url("https", host))
        failure = await sender.refused("POST", body=b"{}")
        assert provider.requests == []
    await upstream.close()
    assert (failure.kind, failure.sent, failure.retryable) == ("upstream_unreachable", False, True)
    return failure


async def test_https_is_spoken_and_connections_are_kept(authority: certificates.Authority) -> None:
    upstream = Upstream(LIMITS, LOOPBACK)
    async with raw_provider.listening(authority.server()) as provider:
        sender = Sender(upstream, provider, provider.url("https"))
        big = HEAD + b"Content-Length: 150000\r\n\r\n" + b" " * 150_000
        provider.plays((OK,), (big,), (OK,))
        sizes = [len((await sender.send()).body) for _ in range(3)]
        assert (sizes, provider.connections) == ([8, 150_000, 8], 1)
        provider.plays((HEAD + b"\r\n{}", close), (reset,), (close,), (HALF, close), (OK,))
        assert (await sender.send()).body == b"{}"
        kinds = [(await sender.refused("POST")).kind for _ in range(3)]
        assert kinds == ["upstream_unreachable", "upstream_unreachable", "upstream_malformed"]
        assert (await sender.send()).body == b'{"id":1}'
        await upstream.close()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"age": timedelta(days=9)}, "has expired"),
        ({"age": timedelta(days=-1)}, "not valid yet"),
        ({"host": "127.0.0.9"}, "for another"),
        ({"host": "elsewhere.example"}, "for another"),
    ],
)
async def test_a_certificate_that_does_not_fit_is_named(
    authority: certificates.Authority, given: dict[str, Any], words: str
) -> None:
    failure = await over_tls(authority.server(**given))
    assert "certificate is not valid" in str(failure)
    assert words in str(failure)


async def test_a_certificate_of_another_name_is_named(
    authority: certificates.Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolving(monkeypatch, "127.0.0.1")
    failure = await over_tls(authority.server(host="elsewhere.example"), "shop.example")
    assert "for another host" in str(failure)


async def test_a_certificate_that_nobody_vouches_for_is_named(
    authority: certificates.Authority, tmp_path: Path
) -> None:
    assert "self-signed" in str(await over_tls(certificates.self_signed(tmp_path)))
    stranger = certificates.authority(tmp_path, "a stranger")
    assert "authority that is not known" in str(await over_tls(stranger.server()))


async def test_plain_text_on_a_tls_port_is_named(authority: certificates.Authority) -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    upstream = Upstream(LIMITS, LOOPBACK)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    failure = await Sender(upstream, RawProvider(), url).refused("POST", url=url)
    assert (failure.kind, failure.sent) == ("upstream_unreachable", False)
    assert "TLS" in str(failure)
    server.close()
    await server.wait_closed()
    await upstream.close()


@pytest.mark.parametrize(
    "said", [b"", b"\x16\x03\x03\x00\x7a\x02\x00", b"\x15\x03\x03\x00\x02\x02\x28"]
)
@pytest.mark.parametrize("leaves", [True, False])
async def test_a_handshake_that_is_cut_or_stalls_has_sent_nothing(
    authority: certificates.Authority, said: bytes, leaves: bool
) -> None:
    over = asyncio.Event()

    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(said)
        if not leaves:
            await over.wait()
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)

    server = await asyncio.start_server(cut, "127.0.0.1", 0)
    upstream = Upstream(QUICK, LOOPBACK)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    failure = await Sender(upstream, RawProvider(), url).refused("POST", url=url)
    assert (failure.kind, failure.sent) == ("upstream_unreachable", False)
    over.set()
    server.close()
    await server.wait_closed()
    await upstream.close()


# --- the other event loop --------------------------------------------------------------------


def test_uvloop_sees_the_same(authority: certificates.Authority) -> None:
    async def faults() -> None:
        upstream = Upstream(LIMITS, LOOPBACK)
        async with raw_provider.listening() as provider:
            sender = Sender(upstream, provider, provider.url())
            for script, kind in BROKEN.values():
                provider.plays((OK,), script, (OK,))
                await sender.send()
                assert (await sender.refused("POST")).kind == kind
                assert (await sender.send()).body == b'{"id":1}'
                assert len(provider.requests) == 3
        async with raw_provider.listening(authority.server()) as provider:
            sender = Sender(upstream, provider, provider.url("https"))
            provider.plays((OK,), (OK,), (close,), (HALF, reset), (OK,))
            assert [(await sender.send()).status for _ in range(2)] == [200, 200]
            assert (await sender.refused()).kind == "upstream_unreachable"
            assert (await sender.refused()).kind == "upstream_malformed"
            assert (await sender.send()).status == 200
        assert "self-signed" in str(await over_tls(certificates.self_signed(authority.folder)))
        await upstream.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(faults())
