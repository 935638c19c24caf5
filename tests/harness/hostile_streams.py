"""The table of hostile requests, continued: sessions, streams, batches, and things said twice."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from harness.hostile import (
    ACCEPT,
    INVALID,
    JSON_TYPE,
    META,
    MISMATCH,
    MODERN,
    NO_METHOD,
    PARAMS,
    PING,
    Case,
    case,
    legacy,
    modern,
    ping,
    request,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

LEGACY = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
EVENTS = ("Accept", "text/event-stream")
COUNT = "acme_items_count"


def version(revision: str) -> tuple[str, str]:
    """Return the header that names a revision."""
    return "MCP-Protocol-Version", revision


def session(id: str) -> tuple[str, str]:
    """Return the header that names a session."""
    return "Mcp-Session-Id", id


def sessions() -> Iterator[Case]:
    """Sessions that are somebody else's, cut, twice, or of no revision; NEIGHBOUR has FOREIGN."""
    strange = {
        "another server's": "FOREIGN",
        "with more behind": "SESSIONx",
        "with something before": "xSESSION",
        "reversed": "SESSION"[::-1],
        "a token": "TOKEN",
        "an API token": "OWNER",
        "a server's id": "SERVER",
        "a path": "../SESSION",
        "two in one": "SESSION, FOREIGN",
        "percent": "%00",
    }
    for revision in LEGACY:
        for name, id in strange.items():
            headers = (version(revision), session(id))
            yield case(f"session {revision}: POST {name}", legacy(PING, *headers), 400, 404)
            for verb in ("GET", "DELETE"):
                yield case(
                    f"session {revision}: {verb} {name}",
                    request(verb, "/mcp/TOKEN", (*headers, EVENTS)),
                    *(400, 404),
                )
        for verb in ("GET", "DELETE"):
            yield case(
                f"session {revision}: {verb} without one",
                request(verb, "/mcp/TOKEN", (version(revision), EVENTS)),
                405,
            )
            yield case(
                f"session {revision}: {verb} of ours at the neighbour's URL",
                request(verb, "/mcp/NEIGHBOUR", (version(revision), session("SESSION"), EVENTS)),
                404,
            )
        yield case(
            f"session {revision}: GET for JSON alone",
            request(
                "GET",
                "/mcp/TOKEN",
                (version(revision), session("SESSION"), ("Accept", "application/json")),
            ),
            406,
        )
        for event in ("x", "0" * 32 + "-1", "a" * 4000, "\u00ff", "1, 2"):
            yield case(
                f"session {revision}: resume {event[:8]!r} in a session of others",
                request(
                    "GET",
                    "/mcp/TOKEN",
                    (version(revision), session("FOREIGN"), EVENTS, ("Last-Event-ID", event)),
                ),
                *(400, 404),
            )
    for verb in ("GET", "DELETE", "POST"):
        body = PING if verb == "POST" else None
        for token in ("cdm_" + "A" * 49, "x"):
            yield case(
                f"session: {verb} with a good session and a wrong token {token[:4]}",
                request(verb, f"/mcp/{token}", (JSON_TYPE, EVENTS, session("SESSION")), body),
                403,
            )
        yield case(
            f"session: {verb} with an unknown revision",
            request(
                verb, "/mcp/TOKEN", (JSON_TYPE, EVENTS, session("SESSION"), version("1.0")), body
            ),
            400,
        )
        yield case(
            f"session: {verb} of the newest revision",
            request(
                verb, "/mcp/TOKEN", (JSON_TYPE, EVENTS, session("SESSION"), version(MODERN)), body
            ),
            *(400, 405),
        )


def oldest() -> Iterator[Case]:
    """The transport of 2024-11-05: its stream and the path to post to."""
    for path in ("/mcp/TOKEN", "/mcp/TOKEN/sse"):
        for accept in ("application/json", "text/html;q=0, application/json", "image/png"):
            yield case(
                f"oldest: GET {path[10:] or 'the URL'} for {accept}",
                request("GET", path, (("Accept", accept),)),
                406,
            )
    for token in ("cdm_" + "A" * 49, "x"):
        for path in ("sse", "messages?session_id=x"):
            verb, body = ("GET", None) if path == "sse" else ("POST", PING)
            yield case(
                f"oldest: {path[:3]} with a wrong token {token[:4]}",
                request(verb, f"/mcp/{token}/{path}", (JSON_TYPE, EVENTS), body),
                403,
            )
    for name, query in {
        "none": "",
        "empty": "?session_id=",
        "a signed session": "?session_id=SESSION",
        "twice": "?session_id=x&session_id=y",
        "both spellings": "?sessionId=x&session_id=y",
        "of NULs": "?session_id=%00%00",
        "bad UTF-8": "?session_id=%ff%fe",
        "a path": "?session_id=../../healthz",
        "the token": "?session_id=TOKEN",
    }.items():
        for message, text in {"a ping": PING, "no JSON": b"{", "nothing": b""}.items():
            yield case(
                f"oldest: {message} to a stream, {name}",
                request("POST", f"/mcp/TOKEN/messages{query}", (JSON_TYPE,), text),
                *(400, 404),
            )
    for verb in ("GET", "PUT", "DELETE", "PATCH"):
        yield case(f"oldest: {verb} messages", request(verb, "/mcp/TOKEN/messages"), 400, 404, 405)
    for verb in ("PUT", "DELETE", "PATCH"):
        yield case(f"oldest: {verb} sse", request(verb, "/mcp/TOKEN/sse"), 404, 405)


def listening() -> Iterator[Case]:
    """subscriptions/listen, which opens a stream in the newest revision alone."""
    good = {"notifications": {"toolsListChanged": True}}
    for name, params in {
        "no notifications": {},
        "a list": {"notifications": ["toolsListChanged"]},
        "a word": {"notifications": "toolsListChanged"},
        "a word for yes": {"notifications": {"toolsListChanged": "yes"}},
        "a number for yes": {"notifications": {"toolsListChanged": 1}},
    }.items():
        yield case(f"listen: {name}", modern("subscriptions/listen", params), 400)
    yield case(
        "listen: for JSON alone",
        modern("subscriptions/listen", good).replace(
            b"application/json, text/event-stream", b"application/json"
        ),
        406,
    )
    for revision in LEGACY:
        message = {"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": good}
        yield case(
            f"listen: in {revision}", legacy(message, version(revision)), 200, code=NO_METHOD
        )


def batches() -> Iterator[Case]:
    """Batches, notifications and answers."""
    old = version("2025-03-26")
    for name, parts in {
        "null": [None],
        "a ping and null": [ping(), None],
        "a ping and a word": [ping(), "x"],
        "no method": [{"jsonrpc": "2.0", "id": 1}],
        "jsonrpc 1.0": [{**ping(), "jsonrpc": "1.0"}],
        "an id of an object": [ping({})],
        "a batch and a ping": [[ping()], ping()],
    }.items():
        yield case(f"batch: {name}", legacy(parts, old), 200, 202, 400)
    yield case("batch: equal ids", legacy([ping(1), ping(1)], old), 200, 400)
    yield case("batch: cut off", legacy(b'[{"jsonrpc":"2.0","id":1,"method":"ping"},', old), 400)
    yield case("batch: deep", legacy(b"[" * 50_000 + b"]" * 50_000, old), 400)
    for revision in ("2025-11-25", "2025-06-18", MODERN):
        yield case(f"batch: in {revision}", legacy([ping()], version(revision)), 400)
    for revision in LEGACY:
        for method in ("notifications/initialized", "notifications/cancelled", "notifications/x"):
            sent = {"jsonrpc": "2.0", "id": 1, "method": method}
            yield case(
                f"notification with an id: {method} {revision}",
                legacy(sent, version(revision)),
                200,
                202,
                400,
            )
        for name, params in {
            "no request id": {},
            "an odd request id": {"requestId": {}},
            "somebody's request": {"requestId": 1},
            "a list": [],
        }.items():
            sent = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}
            yield case(f"cancelled: {name} {revision}", legacy(sent, version(revision)), 202, 400)
        for method in ("ping", "tools/list", "tools/call", "initialize"):
            sent = {"jsonrpc": "2.0", "method": method}
            yield case(
                f"request without an id: {method} {revision}",
                legacy(sent, version(revision)),
                202,
                400,
            )
        yield case(
            f"unknown method {revision}",
            legacy({"jsonrpc": "2.0", "id": 1, "method": "x"}, version(revision)),
            200,
            code=NO_METHOD,
        )
        call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "x"}}
        yield case(f"unknown tool {revision}", legacy(call, version(revision)), 200, code=PARAMS)
        yield case(
            f"no request at all {revision}",
            legacy({"jsonrpc": "2.0", "id": 1}, version(revision)),
            400,
            code=INVALID,
        )


def twice() -> Iterator[Case]:
    """Keys and headers that are there twice: one meaning or a refusal, never two."""
    for name, body in {
        "id": b'{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}',
        "method": b'{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"ping"}',
        "jsonrpc": b'{"jsonrpc":"1.0","jsonrpc":"2.0","id":1,"method":"ping"}',
        "params": b'{"jsonrpc":"2.0","id":1,"method":"ping","params":1,"params":{}}',
        "in other letters": b'{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/list"}',
        "escaped": b'{"jsonrpc":"2.0","id":1,"method":"ping","m\\u0065thod":"ping"}',
    }.items():
        yield case(f"key twice: {name}", legacy(body), 200, 400)
    meta = json.dumps({META + "protocolVersion": MODERN, META + "clientCapabilities": {}})
    two = f'{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"x","name":"{COUNT}",'
    two += f'"_meta":{meta}}}}}'
    headers = (version(MODERN), ("Mcp-Method", "tools/call"))
    yield case(
        "key twice: the header names the tool that the body overrides",
        legacy(two.encode(), *headers, ("Mcp-Name", "x")),
        400,
        code=MISMATCH,
    )
    pairs: dict[str, tuple[str, str]] = {
        "Content-Type": ("application/json", "text/plain"),
        "Accept": ("application/json", "text/html"),
        "Mcp-Session-Id": ("SESSION", "FOREIGN"),
        "MCP-Protocol-Version": ("2025-11-25", "2025-03-26"),
        "Last-Event-ID": ("x", "y"),
        "Origin": ("https://evil.example", "http://localhost"),
        "X-Request-Id": ("a", "b"),
        "Content-Encoding": ("identity", "gzip"),
        "X-Api-Token": ("x", "OWNER"),
    }
    for name, values in pairs.items():
        given = [(name, value) for value in values]
        others = [pair for pair in (JSON_TYPE, ACCEPT) if pair[0] != name]
        yield case(
            f"header twice: {name}",
            request("POST", "/mcp/TOKEN", (*others, *given), PING),
            *(200, 400, 403, 404, 406, 415),
        )
    yield case(
        "header twice: two revisions are none",
        legacy(PING, version("2025-11-25"), version("2025-06-18")),
        400,
    )
    for first, second in (("TOKEN", "x"), ("x", "TOKEN"), ("OWNER", "TOKEN")):
        yield case(
            f"header twice: Authorization {first} then {second}",
            request(
                "POST",
                "/mcp",
                (JSON_TYPE, *(("Authorization", f"Bearer {one}") for one in (first, second))),
                PING,
            ),
            *(200, 400, 403),
        )
    for value in ("x", "=?base64?!!?=", "\u00ff", "", "1" * 4000):
        yield case(
            f"Mcp-Param: {value[:10]!r} for an argument that has no header",
            modern("tools/call", {"name": COUNT, "arguments": {}}, ("Mcp-Param-Limit", value)),
            *(200, 400),
        )
    for size in (4_000, 8_100, 60_000):
        yield case(
            f"Accept of {size} characters",
            request("POST", "/mcp/TOKEN", (JSON_TYPE, ("Accept", "a/b," * (size // 4))), PING),
            *(400, 406, 431),
            shut=True,
        )
    for name in ("X-Http-Method-Override", "X-Original-Url", "X-Rewrite-Url", "Forwarded"):
        yield case(
            f"header: {name} overrides nothing",
            request("GET", "/integrated-account", ((name, "/healthz"),)),
            401,
        )


def streams() -> tuple[Case, ...]:
    """Return all cases of this module; their names differ."""
    kinds: Any = (sessions, oldest, listening, batches, twice)
    return tuple(one for kind in kinds for one in kind())
