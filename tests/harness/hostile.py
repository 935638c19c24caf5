"""A table of hostile requests: what is sent, byte for byte, and the one answer it has to get.

Each is decided before anything is sent to a provider; whatever came, the next good request is
served. `security.md` and the contract say what the answers are; nothing here looks inside.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MODERN = "2026-07-28"
META = "io.modelcontextprotocol/"
PARSE, INVALID, PARAMS, NO_METHOD = -32700, -32600, -32602, -32601
MISMATCH, VERSION = -32020, -32022
JSON_TYPE = ("Content-Type", "application/json")
ACCEPT = ("Accept", "application/json, text/event-stream")


@dataclass(frozen=True)
class Case:
    """One hostile request. `raw` holds the marks TOKEN, OWNER, VIEWER, HOST and SERVER.

    `statuses` are the HTTP statuses that are right, `code` the JSON-RPC code (None: not looked
    at). `shut` says that the connection may end without an answer.
    """

    name: str
    raw: bytes
    statuses: frozenset[int]
    code: int | None = None
    shut: bool = False
    proxied: frozenset[int] = field(default_factory=frozenset)

    def filled(self, marks: dict[str, str]) -> bytes:
        """Return the bytes with real tokens and hosts."""
        raw = self.raw
        for mark, value in marks.items():
            raw = raw.replace(mark.encode(), value.encode())
        return raw


def request(
    verb: str,
    path: str,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes | None = None,
    *,
    host: str = "HOST",
    close: bool = True,
) -> bytes:
    """Return an HTTP/1.1 request that says its length and asks for the end of the connection."""
    lines = [f"{verb} {path} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in headers]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    if close:
        lines.append("Connection: close")
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + b"\r\n\r\n" + (body or b"")


def legacy(message: Any, *headers: tuple[str, str], path: str = "/mcp/TOKEN") -> bytes:
    """Return a POST of an older revision; `message` is bytes or what json can write."""
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    return request("POST", path, (JSON_TYPE, ACCEPT, *headers), body)


def modern(method: str, params: Any, *headers: tuple[str, str], id: Any = 1) -> bytes:
    """Return a POST of the newest revision, well formed but for what the caller makes of it."""
    meta = {META + "protocolVersion": MODERN, META + "clientCapabilities": {}}
    if isinstance(params, dict):
        params = {"_meta": meta, **params}
    message = {"jsonrpc": "2.0", "id": id, "method": method, "params": params}
    given = {name.lower() for name, _ in headers}
    wanted = [("MCP-Protocol-Version", MODERN), ("Mcp-Method", method)]
    if isinstance(params, dict) and isinstance(params.get("name"), str):
        wanted.append(("Mcp-Name", params["name"]))
    kept = [pair for pair in wanted if pair[0].lower() not in given]
    sent = [pair for pair in (*kept, *headers) if pair[1] != "ABSENT"]
    return request("POST", "/mcp/TOKEN", (JSON_TYPE, ACCEPT, *sent), json.dumps(message).encode())


def case(
    name: str,
    raw: bytes,
    *statuses: int,
    code: int | None = None,
    shut: bool = False,
    proxied: Iterable[int] = (),
) -> Case:
    """Return a case; behind a proxy the proxy's own refusals are right as well."""
    return Case(name, raw, frozenset(statuses), code, shut, frozenset(proxied))


def ping(id: Any = 1) -> dict[str, Any]:
    """Return a ping."""
    return {"jsonrpc": "2.0", "id": id, "method": "ping"}


PING = json.dumps(ping()).encode()


# --- HTTP framing ----------------------------------------------------------------------------


def framing() -> Iterator[Case]:
    """Requests that are hardly HTTP, or two things at once."""
    head = "POST /mcp/TOKEN HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/json\r\n"
    broken = {
        "no version": "GET /mcp/TOKEN\r\n\r\n",
        "version 9.9": "GET /mcp/TOKEN HTTP/9.9\r\nHost: HOST\r\n\r\n",
        "version 2.0": "GET /mcp/TOKEN HTTP/2.0\r\nHost: HOST\r\n\r\n",
        "version of letters": "GET /mcp/TOKEN HTTP/a.b\r\nHost: HOST\r\n\r\n",
        "lower-case http": "GET /healthz http/1.1\r\nHost: HOST\r\n\r\n",
        "leading blank": " GET /healthz HTTP/1.1\r\nHost: HOST\r\n\r\n",
        "two blanks": "GET  /healthz HTTP/1.1\r\nHost: HOST\r\n\r\n",
        "verb with a colon": "GE:T /healthz HTTP/1.1\r\nHost: HOST\r\n\r\n",
        "verb of control characters": "G\x01T /healthz HTTP/1.1\r\nHost: HOST\r\n\r\n",
        "long verb": f"{'X' * 9000} /healthz HTTP/1.1\r\nHost: HOST\r\n\r\n",
        "long target": f"GET /{'y' * 70000} HTTP/1.1\r\nHost: HOST\r\n\r\n",
        "bare CR in the target": "GET /a\rb HTTP/1.1\r\nHost: HOST\r\n\r\n",
        "NUL in the target": "GET /a\x00b HTTP/1.1\r\nHost: HOST\r\n\r\n",
        "no colon in a header": f"{head}Bad header\r\n\r\n",
        "blank before the colon": f"{head}X-A : b\r\nContent-Length: 0\r\n\r\n",
        "empty header name": f"{head}: b\r\nContent-Length: 0\r\n\r\n",
        "folded header": f"{head}X-A: b\r\n c\r\nContent-Length: 0\r\n\r\n",
        "NUL in a header": f"{head}X-A: b\x00c\r\n\r\n",
        "bare CR in a header": f"{head}X-A: b\rX-B: c\r\n\r\n",
        "long header": f"{head}X-A: {'z' * 70000}\r\n\r\n",
        "header name of bytes above ASCII": f"{head}X-\xe9: b\r\n\r\n",
        "negative length": f"{head}Content-Length: -1\r\n\r\n",
        "plus before the length": f"{head}Content-Length: +2\r\n\r\n{{}}",
        "length of letters": f"{head}Content-Length: abc\r\n\r\n",
        "hexadecimal length": f"{head}Content-Length: 0x2\r\n\r\n{{}}",
        "length with underscores": f"{head}Content-Length: 1_0\r\n\r\n{{}}12345678",
        "two lengths": f"{head}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{{}}x",
        "a list of lengths": f"{head}Content-Length: 2, 3\r\n\r\n{{}}x",
        "endless length": f"{head}Content-Length: {'9' * 40}\r\n\r\n{{}}",
        "length and chunks": f"{head}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\nabcd",
        "chunked twice": f"{head}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        "chunked not last": f"{head}Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
        "unknown transfer coding": f"{head}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "chunked with a tab": f"{head}Transfer-Encoding:\tchunked x\r\n\r\n0\r\n\r\n",
        "two transfer codings": (
            f"{head}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n"
        ),
        "chunk size of letters": f"{head}Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        "negative chunk size": f"{head}Transfer-Encoding: chunked\r\n\r\n-1\r\n",
        "endless chunk size": f"{head}Transfer-Encoding: chunked\r\n\r\n{'f' * 40}\r\n",
        "chunk without its end": f"{head}Transfer-Encoding: chunked\r\n\r\n2\r\n{{}}X0\r\n\r\n",
        "TLS hello": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        "HTTP/2 preface": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "nothing but line ends": "\r\n\r\n\r\n\r\n",
        "nothing but NULs": "\x00" * 64,
        "a Redis command": "*1\r\n$4\r\nPING\r\n",
        "a mail greeting": "EHLO localhost\r\n\r\n",
        "CONNECT": "CONNECT example.com:443 HTTP/1.1\r\nHost: HOST\r\n\r\n",
    }
    for name, text in broken.items():
        yield case(
            f"framing: {name}",
            text.encode("latin-1"),
            *(400, 404, 405, 408, 411, 413, 414, 415, 421, 431, 501, 505),
            shut=True,
        )
    many = "".join(f"X-{number}: a\r\n" for number in range(5000))
    yield case("framing: 5,000 headers", f"{head}{many}\r\n".encode(), 400, 431, shut=True)
    yield case(
        "framing: a second request behind the body",
        request("POST", "/mcp/TOKEN", (JSON_TYPE,), PING, close=False) + request("GET", "/healthz"),
        200,
    )
    yield case(
        "framing: an upgrade to websocket",
        request(
            "GET",
            "/mcp/TOKEN",
            [
                ("Upgrade", "websocket"),
                ("Connection", "Upgrade, close"),
                ("Sec-WebSocket-Version", "13"),
            ],
            close=False,
        ).replace(b"\r\n\r\n", b"\r\nAccept: application/json\r\n\r\n"),
        *(400, 405, 406, 426),
    )
    yield case(
        "framing: an upgrade to h2c",
        request(
            "POST",
            "/mcp/TOKEN",
            [JSON_TYPE, ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABkAARAAAAAAAIAAAAA")],
            PING,
        ),
        200,
        400,
    )
    yield case(
        "framing: expect something impossible",
        request("POST", "/mcp/TOKEN", [JSON_TYPE, ("Expect", "200-maybe")], PING),
        *(200, 417),
    )


# --- paths, hosts, pages ---------------------------------------------------------------------


def addresses() -> Iterator[Case]:
    """Paths, verbs, Host and Origin."""
    traversals = (
        "/mcp/../integrated-account",
        "/mcp/%2e%2e/integrated-account",
        "/mcp/%2E%2E/integrated-account",
        "/mcp/.%2e/integrated-account",
        "/mcp/..%2fintegrated-account",
        "/mcp/%2e%2e%2fintegrated-account",
        "/integrated-account/../mcp",
        "/integrated-account/%2e%2e/mcp",
        "/integrated-account/./x",
        "/integrated-account/%2e/x",
        "/./integrated-account",
        "//integrated-account",
        "/integrated-account/..%5cmcp",
        "/integrated-account\\..\\mcp",
        "/..",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/mcp/%252e%252e/integrated-account",
        "/mcp/TOKEN/../../healthz",
        "/mcp/TOKEN/%2e%2e/TOKEN",
        "/mcp/x/..;/integrated-account",
    )
    for path in traversals:
        for verb in ("GET", "POST"):
            yield case(f"path: {verb} {path}", request(verb, path), 400, 401, 403, 404, 405)
        owner = [("Authorization", "Bearer OWNER")]
        yield case(f"path: GET {path} as the owner", request("GET", path, owner), 400, 403, 404)
    for verb in ("PUT", "PATCH", "TRACE", "FOO", "PROPFIND", "HEAD"):
        yield case(f"verb: {verb}", request(verb, "/mcp/TOKEN"), 400, 405, 501)
    for host in (
        "evil.example",
        "localhost:@evil.example",
        "localhost.evil.example",
        "evil.example:8787",
        "127.0.0.1.evil.example",
        "127.0.0.1@evil.example",
        "localhost/evil",
        "localhost, evil.example",
        "[::1]evil.example",
        "[::1",
        "169.254.169.254",
        "localhost evil",
        "",
    ):
        for path in ("/mcp/TOKEN", "/integrated-account"):
            yield case(
                f"host: {host!r} at {path}",
                request(
                    "POST", path, (JSON_TYPE, ("Authorization", "Bearer OWNER")), PING, host=host
                ),
                *(400, 421),
                proxied=(200, 401, 422),  # nginx hands on the name that it understood
                shut=True,
            )
    yield case(
        "host: none",
        b"POST /mcp/TOKEN HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
        *(400, 421),
    )
    yield case(
        "host: two",
        b"POST /mcp/TOKEN HTTP/1.1\r\nHost: HOST\r\nHost: evil.example\r\n"
        b"Content-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
        *(400, 421),
    )
    for origin in (
        "https://evil.example",
        "http://localhost.evil.example",
        "http://127.0.0.1.evil.example",
        "null",
        "file://",
        "chrome-extension://abc",
        "http://[::1",
        "https://HOST@evil.example",
        "http://evil.example#http://localhost",
        "javascript:alert(1)",
        "http://localhost, https://evil.example",
        "\u00e9",
    ):
        for verb, path in (("POST", "/mcp/TOKEN"), ("GET", "/mcp/TOKEN"), ("POST", "/api-token")):
            yield case(
                f"origin: {origin} {verb} {path}",
                request(
                    verb,
                    path,
                    (JSON_TYPE, ("Origin", origin), ("Authorization", "Bearer OWNER")),
                    PING if verb == "POST" else None,
                ),
                *(400, 403),
            )


# --- tokens ----------------------------------------------------------------------------------


def tokens() -> Iterator[Case]:
    """What stands where a token belongs."""
    body = PING
    wrong = {
        "unknown": "cdm_" + "A" * 49,
        "of the other kind": "OWNER",
        "in upper case": "CDM_" + "a" * 49,
        "short": "cdm_1",
        "empty prefix": "cdm_",
        "long": "cdm_" + "a" * 4000,
        "with a line end": "TOKEN%0a",
        "with a NUL": "TOKEN%00",
        "with a blank": "TOKEN%20",
        "with a slash encoded": "TOKEN%2f",
        "with a dot": "TOKEN.",
        "with a query mark encoded": "TOKEN%3fx",
        "with a semicolon": "TOKEN;x=1",
        "with a tilde": "TOKEN~",
        "bad UTF-8": "%ff%fe",
        "full-width": "%EF%BD%83dm_" + "a" * 49,
        "half an escape": "%",
        "a quote": "'%20or%201=1--",
        "a template": "{{7*7}}",
        "a format": "%25s%25n",
    }
    for name, token in wrong.items():
        yield case(
            f"token: {name}",
            request("POST", f"/mcp/{token}", (JSON_TYPE, ACCEPT), body),
            *(400, 403, 404),
            proxied=(414,),
        )
    for name, value in {
        "empty": "Bearer",
        "blank": "Bearer  ",
        "two": "Bearer TOKEN, Bearer TOKEN",
        "basic": "Basic " + base64.b64encode(b"x:y").decode(),
        "unknown scheme": "Digest TOKEN",
        "unknown": "Bearer cdm_" + "A" * 49,
        "an API token": "Bearer OWNER",
        "bytes": "Bearer \u00ff\u00fe",
    }.items():
        yield case(
            f"bearer: {name}",
            request("POST", "/mcp", (JSON_TYPE, ACCEPT, ("Authorization", value)), body),
            *(400, 401, 403),
        )
    yield case("bearer: none", request("POST", "/mcp", (JSON_TYPE, ACCEPT), body), 401)
    yield case("token: in the query", request("POST", "/mcp?token=TOKEN", (JSON_TYPE,), body), 401)
    yield case(
        "token: well-known with it in the path",
        request("GET", "/.well-known/oauth-protected-resource/mcp/TOKEN"),
        404,
    )
    for path in (
        "/authorize",
        "/register",
        "/token",
        "/oauth/token",
        "/favicon.ico",
        "/",
        "/admin",
    ):
        yield case(f"probe: {path}", request("GET", path), 404)
        yield case(f"probe: POST {path}", request("POST", path, (JSON_TYPE,), b"{}"), 404, 405)


# --- bodies ----------------------------------------------------------------------------------


def bodies() -> Iterator[Case]:
    """What is not JSON, or is no message."""
    deep = 100_000
    not_json: dict[str, bytes] = {
        "empty": b"",
        "blank": b"   \n",
        "a word": b"hello",
        "one brace": b"{",
        "one bracket": b"[",
        "cut off": b'{"jsonrpc":"2.0","id":1,"method":"pi',
        "cut in an escape": b'{"jsonrpc":"2.0","id":1,"method":"\\u12',
        "two values": PING + PING,
        "trailing word": PING + b"x",
        "a comma too much": b'{"jsonrpc":"2.0","id":1,"method":"ping",}',
        "single quotes": b"{'jsonrpc':'2.0','id':1,'method':'ping'}",
        "a comment": b'{"jsonrpc":"2.0",/*x*/"id":1,"method":"ping"}',
        "NaN": b'{"jsonrpc":"2.0","id":NaN,"method":"ping"}',
        "Infinity": b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":Infinity}}',
        "a leading zero": b'{"jsonrpc":"2.0","id":01,"method":"ping"}',
        "a plus": b'{"jsonrpc":"2.0","id":+1,"method":"ping"}',
        "hexadecimal": b'{"jsonrpc":"2.0","id":0x1,"method":"ping"}',
        "bad UTF-8": b'{"jsonrpc":"2.0","id":1,"method":"\xff\xfe"}',
        "bad UTF-8 in params": b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":"\xc3\x28"}}',
        "overlong UTF-8": b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":"\xc0\xaf"}}',
        "UTF-16": '{"jsonrpc":"2.0","id":1,"method":"ping"}'.encode("utf-16"),
        "UTF-32": '{"jsonrpc":"2.0","id":1,"method":"ping"}'.encode("utf-32"),
        "control character in a string": b'{"jsonrpc":"2.0","id":1,"method":"pi\x01ng"}',
        "a NUL at the end": PING + b"\x00",
        "XML": b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>",
        "gzip": base64.b64decode("H4sIAAAAAAAAA6uu5QIABrCh3QMAAAA="),
        "deep arrays": b"[" * deep + b"]" * deep,
        "deep objects": b'{"a":' * deep + b"1" + b"}" * deep,
        "deep in params": (
            b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":'
            + b"[" * deep
            + b"]" * deep
            + b"}}"
        ),
    }
    for name, body in not_json.items():
        yield case(f"json: {name}", legacy(body), 400)
        yield case(
            f"json: {name}, newest revision",
            legacy(body, ("MCP-Protocol-Version", MODERN), ("Mcp-Method", "ping")),
            400,
        )
    yield case("json: a byte order mark", legacy(b"\xef\xbb\xbf" + PING), 200, 400)
    yield case(
        "json: a lone surrogate",
        legacy(rb'{"jsonrpc":"2.0","id":"\ud800","method":"ping"}'),
        200,
        400,
    )
    yield case(
        "json: a number of 10,000 digits",
        legacy(b'{"jsonrpc":"2.0","id":' + b"9" * 10_000 + b',"method":"ping"}'),
        400,
    )
    yield case("json: larger than allowed", legacy(b'{"x":"' + b"y" * 1_100_000 + b'"}'), 413)
    values: dict[str, Any] = {
        "null": None,
        "true": True,
        "a number": 1,
        "a string": "ping",
        "an empty object": {},
        "an empty array": [],
        "an array in an array": [[]],
    }
    for name, value in values.items():
        yield case(f"message: {name}", legacy(value), 400)
    members: dict[str, dict[str, Any]] = {
        "no jsonrpc": {"id": 1, "method": "ping"},
        "jsonrpc 1.0": {**ping(), "jsonrpc": "1.0"},
        "jsonrpc a number": {**ping(), "jsonrpc": 2.0},
        "jsonrpc null": {**ping(), "jsonrpc": None},
        "no method": {"jsonrpc": "2.0", "id": 1},
        "method null": {**ping(), "method": None},
        "method a number": {**ping(), "method": 1},
        "method an array": {**ping(), "method": ["ping"]},
        "method empty": {**ping(), "method": ""},
        "id an object": ping({}),
        "id an array": ping([1]),
        "id true": ping(True),
        "id a fraction": ping(1.5),
        "id of an exponent": ping(1e300),
        "id null": ping(None),
        "params a string": {**ping(), "params": "x"},
        "params an array": {**ping(), "params": [1]},
        "params a number": {**ping(), "params": 1},
        "params null": {**ping(), "params": None},
        "a result nobody asked for": {"jsonrpc": "2.0", "id": 1, "result": {}},
        "an error nobody asked for": {
            "jsonrpc": "2.0",
            "id": 1,
            "error": {"code": 1, "message": "x"},
        },
    }
    for name, member in members.items():
        yield case(f"message: {name}", legacy(member), 400)
    for method in (
        "nope",
        "rpc.discover",
        "__class__",
        "tools/__init__",
        "tools/list\u0000",
        "TOOLS/LIST",
        "tools/list ",
        "resources/list",
        "prompts/get",
        "completion/complete",
        "x" * 10_000,
        "../tools/list",
        "constructor",
        "\u202etsil/sloot",
    ):
        message = {"jsonrpc": "2.0", "id": 1, "method": method}
        yield case(f"method: {method[:30]!r}", legacy(message), 200, code=NO_METHOD)
    for kind in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
        "application/jsonx",
        "json",
        "",
        "application/json\u00e9",
    ):
        yield case(
            f"content type: {kind!r}",
            request("POST", "/mcp/TOKEN", (("Content-Type", kind), ACCEPT), PING),
            *(400, 415),
        )
    for encoding in ("gzip", "br", "zstd", "deflate", "identity, gzip", "x-evil"):
        yield case(
            f"content encoding: {encoding}",
            request("POST", "/mcp/TOKEN", (JSON_TYPE, ("Content-Encoding", encoding)), PING),
            415,
        )
    for accept in ("text/html", "image/png", "application/json;q=0", "application/xml"):
        yield case(
            f"accept: {accept}",
            request("POST", "/mcp/TOKEN", (JSON_TYPE, ("Accept", accept)), PING),
            406,
        )
    for accept in (",,,;;;", "a" * 3000, "*/*;q=abc", "\u00ff"):
        yield case(
            f"accept: {accept[:20]!r}",
            request("POST", "/mcp/TOKEN", (JSON_TYPE, ("Accept", accept)), PING),
            *(200, 400, 406),
        )


# --- the protocol ----------------------------------------------------------------------------


def protocol() -> Iterator[Case]:
    """Messages that are JSON-RPC and still wrong, in every revision."""
    hello = {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "x", "version": "1"},
    }

    def start(params: Any) -> dict[str, Any]:
        return {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}

    yield case(
        "initialize: no params",
        legacy({"jsonrpc": "2.0", "id": 1, "method": "initialize"}),
        200,
        code=PARAMS,
    )
    for name, params in {
        "empty": {},
        "no version": {k: v for k, v in hello.items() if k != "protocolVersion"},
        "version a number": {**hello, "protocolVersion": 1},
        "version null": {**hello, "protocolVersion": None},
        "version an object": {**hello, "protocolVersion": {}},
        "no capabilities": {k: v for k, v in hello.items() if k != "capabilities"},
        "capabilities a string": {**hello, "capabilities": "all"},
        "capabilities an array": {**hello, "capabilities": []},
        "capabilities null": {**hello, "capabilities": None},
        "no client": {k: v for k, v in hello.items() if k != "clientInfo"},
        "client a string": {**hello, "clientInfo": "x"},
        "client null": {**hello, "clientInfo": None},
    }.items():
        yield case(f"initialize: {name}", legacy(start(params)), 200, code=PARAMS)
    for version in ("", "2099-01-01", "x" * 5000, "2025-11-25\n", "\u0000"):
        yield case(
            f"initialize: version {version[:12]!r}",
            legacy(start({**hello, "protocolVersion": version})),
            200,
        )
    for version in ("2099-01-01", "1", "", "2025-11-25, 2026-07-28", "'", "\u00ff"):
        yield case(
            f"version header: {version!r}", legacy(PING, ("MCP-Protocol-Version", version)), 400
        )
    for session in ("", "x", "a" * 4000, "..", "\u00ff", "null", "AAAA.BBBB"):
        yield case(
            f"session: {session[:12]!r}",
            legacy(PING, ("MCP-Protocol-Version", "2025-11-25"), ("Mcp-Session-Id", session)),
            400,
            404,
        )
        yield case(
            f"session: delete {session[:12]!r}",
            request("DELETE", "/mcp/TOKEN", (("Mcp-Session-Id", session),)),
            *(400, 404, 405),
        )
        yield case(
            f"session: get {session[:12]!r}",
            request(
                "GET", "/mcp/TOKEN", (("Mcp-Session-Id", session), ("Accept", "text/event-stream"))
            ),
            *(400, 404, 405),
        )
    calls: dict[str, Any] = {
        "no name": {"arguments": {}},
        "name null": {"name": None},
        "name a number": {"name": 1},
        "name an array": {"name": []},
        "name empty": {"name": ""},
        "arguments an array": {"name": "acme_items_count", "arguments": []},
        "arguments a string": {"name": "acme_items_count", "arguments": "{}"},
        "arguments a number": {"name": "acme_items_count", "arguments": 1},
        "unknown tool": {"name": "nope"},
        "tool in upper case": {"name": "ACME_ITEMS_COUNT"},
        "tool with a blank": {"name": "acme_items_count "},
        "tool with a NUL": {"name": "acme_items_count\u0000"},
        "tool of 100,000 characters": {"name": "x" * 100_000},
        "tool of a proto": {"name": "__proto__"},
        "look-alike": {"name": "\u0430cme_items_count"},
    }
    for name, params in calls.items():
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        yield case(f"call: {name}", legacy(message), 200, code=PARAMS)
        if (
            isinstance(params.get("name"), str)
            and params["name"].isascii()
            and params["name"].isprintable()
            and 0 < len(params["name"]) < 1000
            and params["name"] == params["name"].strip()
        ):
            yield case(f"call: {name}, newest", modern("tools/call", params), 200, 400, code=PARAMS)
    for name, cursor in {"a string": "x", "a number": 1, "null": None, "an object": {}}.items():
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"cursor": cursor}}
        yield case(f"list: cursor {name}", legacy(message), 200)
    batch = [ping(number) for number in range(1000)]
    old = ("MCP-Protocol-Version", "2025-03-26")
    yield case("batch: of 1,000", legacy(batch, old), 400)
    yield case("batch: with an initialize", legacy([start(hello)], old), 400)
    yield case("batch: empty", legacy([], old), 400)
    yield case("batch: of numbers", legacy([1, 2], old), 400)
    yield case(
        "batch: of a newer revision", legacy([ping()], ("MCP-Protocol-Version", "2025-11-25")), 400
    )
    yield case("batch: in a batch", legacy([[ping()]], old), 400)
    # the newest revision
    yield case(
        "modern: no meta",
        legacy(PING, ("MCP-Protocol-Version", MODERN), ("Mcp-Method", "ping")),
        400,
    )
    for name, meta in {
        "null": None,
        "a string": "x",
        "an array": [],
        "a number": 1,
        "empty": {},
        "no capabilities": {META + "protocolVersion": MODERN},
        "capabilities a string": {
            META + "protocolVersion": MODERN,
            META + "clientCapabilities": "x",
        },
        "capabilities an array": {
            META + "protocolVersion": MODERN,
            META + "clientCapabilities": [],
        },
        "version a number": {META + "protocolVersion": 1, META + "clientCapabilities": {}},
        "version an object": {META + "protocolVersion": {}, META + "clientCapabilities": {}},
    }.items():
        yield case(f"modern: meta {name}", modern("tools/list", {"_meta": meta}), 400)
    yield case(
        "modern: meta of the wrong type is -32602",
        modern("tools/list", {"_meta": []}),
        400,
        code=PARAMS,
    )
    unknown = {META + "protocolVersion": "2099-01-01", META + "clientCapabilities": {}}
    yield case(
        "modern: unknown version",
        modern("tools/list", {"_meta": unknown}, ("MCP-Protocol-Version", "2099-01-01")),
        400,
        code=VERSION,
    )
    for name, headers in {
        "other version": [("MCP-Protocol-Version", "2025-11-25")],
        "no version": [("MCP-Protocol-Version", "ABSENT")],
        "no method": [("Mcp-Method", "ABSENT")],
        "other method": [("Mcp-Method", "tools/call")],
        "method twice": [("Mcp-Method", "tools/list"), ("mcp-method", "tools/list")],
        "method in upper case": [("Mcp-Method", "TOOLS/LIST")],
    }.items():
        yield case(f"modern header: {name}", modern("tools/list", {}, *headers), 400, code=MISMATCH)
    for name, value in {
        "absent": "ABSENT",
        "other": "nope",
        "twice": "acme_items_count, acme_items_count",
        "bad base64": "=?base64?!!?=",
        "half": "=?base64?YWNt",
    }.items():
        yield case(
            f"modern header: name {name}",
            modern("tools/call", {"name": "acme_items_count"}, ("Mcp-Name", value)),
            400,
            code=MISMATCH,
        )
    yield case("modern: unknown method", modern("nope", {}), 404, code=NO_METHOD)
    yield case("modern: initialize", modern("initialize", hello), 400, 404)
    yield case("modern: ping", modern("ping", {}), 404, code=NO_METHOD)
    for state in ("", "x", "A" * 300_000, None, 1, {}, []):
        yield case(
            f"modern: request state {str(state)[:8]!r}",
            modern(
                "tools/call",
                {"name": "acme_items_count", "requestState": state, "inputResponses": {}},
            ),
            200,
            400,
            code=PARAMS,
        )
    yield case("modern: params an array", modern("tools/list", []), 400)
    for wanted in (None, 1, "x", []):
        yield case(
            f"modern: listen to {wanted!r}",
            modern("subscriptions/listen", {"notifications": wanted}),
            400,
        )
    yield case(
        "modern: GET",
        request(
            "GET", "/mcp/TOKEN", [("MCP-Protocol-Version", MODERN), ("Accept", "text/event-stream")]
        ),
        405,
    )
    yield case(
        "modern: DELETE", request("DELETE", "/mcp/TOKEN", [("MCP-Protocol-Version", MODERN)]), 405
    )
    yield case(
        "get: JSON alone", request("GET", "/mcp/TOKEN", [("Accept", "application/json")]), 406
    )
    yield case(
        "messages: without a stream",
        request("POST", "/mcp/TOKEN/messages", (JSON_TYPE,), PING),
        400,
        404,
    )
    yield case(
        "messages: unknown stream",
        request("POST", "/mcp/TOKEN/messages?sessionId=x", (JSON_TYPE,), PING),
        400,
        404,
    )
    yield case(
        "messages: long stream",
        request("POST", f"/mcp/TOKEN/messages?sessionId={'a' * 4000}", (JSON_TYPE,), PING),
        400,
        404,
    )
    yield case("sse: POST", request("POST", "/mcp/TOKEN/sse", (JSON_TYPE,), PING), 404, 405)
    for event in ("", "x", "0" * 32 + "-1", "-1", "\u00ff", "a" * 4000):
        yield case(
            f"resume: {event[:10]!r}",
            request(
                "GET",
                "/mcp/TOKEN",
                [
                    ("Accept", "text/event-stream"),
                    ("Mcp-Session-Id", "x"),
                    ("Last-Event-ID", event),
                ],
            ),
            *(400, 404),
        )


# --- arguments -------------------------------------------------------------------------------


def arguments() -> Iterator[Case]:
    """Arguments of a tool: refused in words as a result, never an internal error."""

    def call(name: str, given: Any) -> bytes:
        return legacy(
            {
                "jsonrpc": "2.0",
                "id": 1,
                "method": "tools/call",
                "params": {"name": name, "arguments": given},
            }
        )

    one = "get_single_acme_item_by_id"
    for id in (
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "a\\b",
        "a?b",
        "a#b",
        "a%2fb",
        "a b",
        "a\u0000b",
        "a\nb",
        "\u202e",
        "a" * 100_000,
        None,
        1,
        True,
        [],
        {},
        ["x"],
        {"id": "x"},
        "\ud800",
        "\ufeff",
        "%2e%2e",
        "a\u0085b",
    ):
        yield case(f"argument: id {str(id)[:12]!r}", call(one, {"id": id}), 200, 400)
    for limit in (0, -1, 10**6, 10**40, 1.5, "1", "x", [], {}, True, 1e308, -(10**18)):
        yield case(
            f"argument: limit {str(limit)[:12]}", call("list_all_acme_items", {"limit": limit}), 200
        )
    for cursor in ("", "x", "B" * 10_000, 1, [], "=" * 50, "\u00e9", "AAAA" * 30):
        yield case(
            f"argument: cursor {str(cursor)[:10]!r}",
            call("list_all_acme_items", {"next_cursor": cursor}),
            200,
        )
    for key in (
        "__class__",
        "constructor",
        "",
        " ",
        "id\u0000",
        "ID",
        "x" * 10_000,
        "\u202e",
        "$ref",
    ):
        yield case(f"argument: unknown {key[:12]!r}", call(one, {"id": "x1", key: 1}), 200)
    yield case("argument: 20,000 unknown ones", call(one, {f"k{n}": n for n in range(20_000)}), 200)
    raw = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"%b","arguments":{"limit":%b}}}'
    for text in (b"1e400", b"-0", b"1E2", b"000000200999", b"1" * 5000, b"0.1e1", b"1.0"):
        yield case(
            f"argument: limit as {text[:14].decode()}",
            legacy(raw % (b"list_all_acme_items", text)),
            200,
            400,
        )


# --- the admin API ---------------------------------------------------------------------------


def admin() -> Iterator[Case]:
    """The admin API: nobody, the wrong role, the wrong body."""
    owner = ("Authorization", "Bearer OWNER")
    viewer = ("Authorization", "Bearer VIEWER")
    routes = (
        ("GET", "/integrated-account"),
        ("POST", "/integrated-account"),
        ("GET", "/integrated-account/shop"),
        ("PATCH", "/integrated-account/shop"),
        ("DELETE", "/integrated-account/shop"),
        ("POST", "/integrated-account/shop/test"),
        ("GET", "/integrated-account/shop/tools"),
        ("POST", "/integrated-account/shop/mcp"),
        ("GET", "/integrated-account/shop/mcp"),
        ("GET", "/integrated-account/shop/mcp/SERVER"),
        ("PATCH", "/integrated-account/shop/mcp/SERVER"),
        ("DELETE", "/integrated-account/shop/mcp/SERVER"),
        ("POST", "/integrated-account/shop/mcp/SERVER/rotate"),
        ("GET", "/api-token"),
        ("POST", "/api-token"),
        ("DELETE", "/api-token/x"),
        ("POST", "/admin/integrated-accounts/shop/mcp"),
    )
    for verb, path in routes:
        body = b"{}" if verb in ("POST", "PATCH") else None
        for name, headers in {
            "nobody": (),
            "an MCP token": (("Authorization", "Bearer TOKEN"),),
            "basic": (("Authorization", "Basic OWNER"),),
            "a stranger": (("Authorization", "Bearer cda_" + "A" * 49),),
            "the second factor's header": (("X-Api-Token", "OWNER"),),
        }.items():
            yield case(
                f"admin: {verb} {path} as {name}",
                request(verb, path, (JSON_TYPE, *headers), body),
                401,
            )
        if verb != "GET":
            yield case(
                f"admin: {verb} {path} as viewer",
                request(verb, path, (JSON_TYPE, viewer), body),
                403,
            )
    create = "/integrated-account/shop/mcp"
    bad: dict[str, bytes] = {
        "no JSON": b"{",
        "an array": b"[]",
        "null": b"null",
        "a string": b'"x"',
        "empty": b"",
        "unknown field": b'{"name":"x","evil":1}',
        "name a number": b'{"name":1}',
        "name empty": b'{"name":""}',
        "name of controls": b'{"name":"a\\u0000b"}',
        "name of C1": b'{"name":"a\\u0085b"}',
        "name of bidi": b'{"name":"a\\u202eb"}',
        "name of zero width": b'{"name":"a\\u200bb"}',
        "name too long": b'{"name":"' + b"x" * 10_000 + b'"}',
        "methods empty": b'{"name":"x","config":{"methods":[]}}',
        "methods unknown": b'{"name":"x","config":{"methods":["nonsense"]}}',
        "methods a string": b'{"name":"x","config":{"methods":"read"}}',
        "methods null in it": b'{"name":"x","config":{"methods":[null]}}',
        "tags empty": b'{"name":"x","config":{"tags":[]}}',
        "tags unknown": b'{"name":"x","config":{"tags":["nonsense"]}}',
        "config unknown": b'{"name":"x","config":{"evil":true}}',
        "config an array": b'{"name":"x","config":[]}',
        "expiry in the past": b'{"name":"x","expires_at":"2001-01-01T00:00:00Z"}',
        "expiry without a zone": b'{"name":"x","expires_at":"2099-01-01T00:00:00"}',
        "expiry a number": b'{"name":"x","expires_at":1}',
        "expiry at the end of time": b'{"name":"x","expires_at":"9999-12-31T23:59:59-23:59"}',
        "expiry before time": b'{"name":"x","expires_at":"0001-01-01T00:00:00+23:59"}',
        "expiry nonsense": b'{"name":"x","expires_at":"tomorrow"}',
        "expiry of the 30th of February": b'{"name":"x","expires_at":"2099-02-30T00:00:00Z"}',
        "ips nonsense": b'{"name":"x","config":{"allowed_ips":["nonsense"]}}',
        "ips empty": b'{"name":"x","config":{"allowed_ips":[]}}',
        "deep": b'{"name":"x","config":' + b'{"a":' * 20_000 + b"1" + b"}" * 20_001,
        "bad UTF-8": b'{"name":"\xff"}',
        "surrogate": b'{"name":"\\ud800"}',
        "exposure nonsense": b'{"name":"x","config":{"tool_exposure":"nonsense"}}',
        "factor a string": b'{"name":"x","config":{"require_api_token_auth":"yes"}}',
    }
    for name, body in bad.items():
        yield case(
            f"admin: a server, {name}", request("POST", create, (JSON_TYPE, owner), body), 400, 422
        )
    account = "/integrated-account"

    def given(**changes: Any) -> bytes:
        base = {
            "integration": "acme",
            "name": "x",
            "settings": {},
            "credentials": {"api_key": "k-123456789"},
        }
        return json.dumps({**base, **changes}).encode()

    for name, body in {
        "integration unknown": given(integration="nope"),
        "integration a number": given(integration=1),
        "settings an array": given(settings=[]),
        "settings unknown": given(settings={"evil": 1}),
        "credentials a string": given(credentials="x"),
        "credentials unknown": given(credentials={"evil": "x"}),
        "credentials a number": given(credentials={"api_key": 1}),
        "no credentials": given(credentials={}),
        **{
            f"base_url {url[:40]!r}": given(settings={"base_url": url})
            for url in (
                "",
                "x",
                "ftp://a.example",
                "file:///etc/passwd",
                "https://",
                "https://xn--/",
                "https://a..b",
                "https://user:pw@a.example",
                "https://a.example?x=1",
                "https://a.example#x",
                "https://[::1",
                "https://a b",
                "javascript:alert(1)",
                "http://169.254.169.254/",
                "https://a.example:99999",
                "https://\u0000",
                "https://" + "a" * 5000,
            )
        },
    }.items():
        yield case(
            f"admin: an account, {name}",
            request("POST", account, (JSON_TYPE, owner), body),
            400,
            422,
        )
    for query in (
        "limit=0",
        "limit=-1",
        "limit=x",
        "limit=99999999999999999999",
        "limit=000000200999",
        "limit=1e3",
        "limit=",
        "cursor=x",
        "cursor=%00",
        "cursor=" + "A" * 3000,
        "limit=1&limit=2",
        "evil=1",
    ):
        for path in ("/integrated-account", "/api-token", "/integrated-account/shop/mcp"):
            yield case(
                f"admin: {path}?{query[:24]}",
                request("GET", f"{path}?{query}", (owner,)),
                200,
                400,
                422,
            )
    for id in ("%00", "%2e%2e", "x" * 3000, "%ff", "'", "nope", "%20", "{id}", "%E2%80%AE"):
        yield case(
            f"admin: account {id[:10]}",
            request("GET", f"/integrated-account/{id}", (owner,)),
            400,
            404,
        )
        yield case(
            f"admin: server {id[:10]}",
            request("GET", f"/integrated-account/shop/mcp/{id}", (owner,)),
            400,
            404,
        )
        yield case(
            f"admin: token {id[:10]}", request("DELETE", f"/api-token/{id}", (owner,)), 400, 404
        )
    for name, body in {
        "role unknown": b'{"name":"x","role":"god"}',
        "role missing": b'{"name":"x"}',
        "role null": b'{"name":"x","role":null}',
        "extra": b'{"name":"x","role":"viewer","id":"mine"}',
    }.items():
        yield case(
            f"admin: an API token, {name}",
            request("POST", "/api-token", (JSON_TYPE, owner), body),
            400,
            422,
        )
    yield case(
        "admin: larger than allowed",
        request("POST", create, (JSON_TYPE, owner), b'{"name":"' + b"x" * 400_000 + b'"}'),
        413,
    )
    yield case(
        "admin: not JSON by type",
        request("POST", create, (("Content-Type", "text/plain"), owner), b"{}"),
        415,
    )
    yield case(
        "admin: encoded",
        request("POST", create, (JSON_TYPE, ("Content-Encoding", "gzip"), owner), b"{}"),
        415,
    )
    for verb in ("PUT", "TRACE", "FOO"):
        yield case(f"admin: {verb}", request(verb, "/integrated-account", (owner,)), 400, 405, 501)


def table() -> tuple[Case, ...]:
    """Return all cases; their names differ."""
    kinds = (framing, addresses, tokens, bodies, protocol, arguments, admin)
    return tuple(one for kind in kinds for one in kind())
