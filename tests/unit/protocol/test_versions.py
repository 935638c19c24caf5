"""Which revision a message speaks: the body decides, headers only cross-check."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.errors import ProtocolError
from crossdock.protocol.jsonrpc import (
    HEADER_MISMATCH,
    INVALID_PARAMS,
    INVALID_REQUEST,
    UNSUPPORTED_VERSION,
    Message,
    read_message,
)
from crossdock.protocol.versions import (
    CAPABILITIES_KEY,
    LOG_LEVEL_KEY,
    LOG_LEVELS,
    SUPPORTED,
    VERSION_KEY,
    Headers,
    classify,
    decoded_header,
    level_of,
    negotiate,
)

MODERN = "2026-07-28"
LEGACY = [name for name in SUPPORTED if name != MODERN]
META = {VERSION_KEY: MODERN, CAPABILITIES_KEY: {}}


def said(method: str = "tools/list", *, id: int | None = 1, **params: Any) -> Message:
    message: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": params}
    return read_message(json.dumps(message if id is None else {**message, "id": id}).encode())


def modern(spoken: str = "tools/list", **headers: Any) -> Headers:
    return Headers(**{"version": (MODERN,), "method": (spoken,), **headers})


def refusal(message: Message, headers: Headers) -> ProtocolError:
    with pytest.raises(ProtocolError) as refused:
        classify(message, headers)
    assert refused.value.status == 400
    return refused.value


# --- older revisions -------------------------------------------------------------------------


@pytest.mark.parametrize("name", LEGACY)
def test_an_older_message_speaks_what_its_header_says(name: str) -> None:
    assert classify(said(), Headers(version=(name,))).name == name
    assert classify(said(), Headers(version=(name, name))).name == name


def test_without_a_header_the_revision_is_the_one_that_had_none() -> None:
    assert classify(said(), Headers()).name == "2025-03-26"


@pytest.mark.parametrize("versions", [("2024-01-01",), ("",), ("2025-06-18", "2025-11-25")])
def test_a_header_of_no_or_of_two_revisions_is_refused(versions: tuple[str, ...]) -> None:
    refused = refusal(said(), Headers(version=versions))
    assert refused.code == INVALID_REQUEST
    assert all(name in str(refused) for name in SUPPORTED)


@pytest.mark.parametrize("name", LEGACY)
def test_an_older_revision_named_in_the_body_leaves_the_header_to_decide(name: str) -> None:
    message = said(_meta={VERSION_KEY: name})
    assert classify(message, Headers(version=("2025-06-18",))).name == "2025-06-18"


def test_initialize_is_older_whatever_it_asks_for() -> None:
    message = said("initialize", protocolVersion="2024-11-05")
    assert not classify(message, Headers()).modern
    assert not classify(message, Headers(version=("2025-03-26",))).modern


def test_initialize_under_the_newest_header_is_refused() -> None:
    assert refusal(said("initialize"), Headers(version=(MODERN,))).code == HEADER_MISMATCH


# --- the newest ------------------------------------------------------------------------------


def test_a_message_of_the_newest_revision_says_so_in_its_meta() -> None:
    assert classify(said(_meta=META), modern()).modern


def test_a_notification_needs_no_headers() -> None:
    assert classify(said("notifications/cancelled", id=None, _meta=META), Headers()).modern


def test_the_newest_header_alone_is_not_enough() -> None:
    refused = refusal(said(), modern())
    assert refused.code == INVALID_PARAMS
    assert VERSION_KEY in str(refused)


@pytest.mark.parametrize("claim", ["2030-01-01", "", "latest"])
def test_an_unknown_revision_is_told_which_are_served(claim: str) -> None:
    message = said(_meta={**META, VERSION_KEY: claim})
    refused = refusal(message, modern(version=(claim,)))
    assert refused.code == UNSUPPORTED_VERSION
    assert refused.data == {"supported": SUPPORTED, "requested": claim}


@pytest.mark.parametrize("claim", [7, None, [], {}, True])
def test_a_revision_that_is_no_text_is_refused(claim: Any) -> None:
    message = said("notifications/x", id=None, _meta={**META, VERSION_KEY: claim})
    assert refusal(message, Headers()).code == INVALID_PARAMS


@pytest.mark.parametrize("capabilities", [None, [], "x", 1])
def test_capabilities_must_be_an_object(capabilities: Any) -> None:
    refused = refusal(said(_meta={**META, CAPABILITIES_KEY: capabilities}), modern())
    assert (refused.code, CAPABILITIES_KEY in str(refused)) == (INVALID_PARAMS, True)
    refused = refusal(said(_meta={VERSION_KEY: MODERN}), modern())
    assert refused.code == INVALID_PARAMS


@pytest.mark.parametrize("level", ["loud", "", 3, None])
def test_a_log_level_must_be_one_of_the_eight(level: Any) -> None:
    refused = refusal(said(_meta={**META, LOG_LEVEL_KEY: level}), modern())
    assert (refused.code, "warning" in str(refused)) == (INVALID_PARAMS, True)


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ({"version": ()}, "MCP-Protocol-Version is missing"),
        ({"version": (MODERN, MODERN)}, "MCP-Protocol-Version is given more than once"),
        ({"version": ("2025-11-25",)}, "MCP-Protocol-Version does not match"),
        ({"method": ()}, "Mcp-Method is missing"),
        ({"method": ("tools/list",)}, "Mcp-Method does not match method"),
        ({"method": ("Tools/Call",)}, "Mcp-Method does not match method"),
        ({"name": ()}, "Mcp-Name is missing"),
        ({"name": ("other",)}, "Mcp-Name does not match params.name"),
        ({"name": ("tool", "tool")}, "Mcp-Name is given more than once"),
        ({"name": ("=?base64?!?=",)}, "cannot be decoded"),
    ],
)
def test_headers_that_do_not_repeat_the_body_are_named(headers: dict[str, Any], why: str) -> None:
    message = said("tools/call", name="tool", _meta=META)
    good = {"name": ("tool",)}
    assert classify(message, modern("tools/call", **good)).modern
    refused = refusal(message, modern("tools/call", **{**good, **headers}))
    assert refused.code == HEADER_MISMATCH
    assert why in str(refused)


@given(st.text())
def test_a_name_may_come_in_base64(name: str) -> None:
    sent = f"=?base64?{base64.b64encode(name.encode()).decode()}?="
    assert decoded_header(sent) == name
    message = said("tools/call", name=name, _meta=META)
    assert classify(message, modern("tools/call", name=(sent,))).modern


@pytest.mark.parametrize("value", ["", "plain", "=?base64?", "=?base64?=", "=?utf8?eA==?="])
def test_what_is_not_marked_as_base64_is_taken_as_it_is(value: str) -> None:
    assert decoded_header(value) == value


# --- the handshake, and levels ---------------------------------------------------------------


def asked(**given_: Any) -> dict[str, msgspec.Raw]:
    usual = {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "c", "version": "1"},
    }
    return {
        name: msgspec.Raw(json.dumps(value).encode()) for name, value in {**usual, **given_}.items()
    }


@pytest.mark.parametrize("name", LEGACY)
def test_a_served_revision_is_agreed_on(name: str) -> None:
    assert negotiate(asked(protocolVersion=name)).name == name


@pytest.mark.parametrize("name", [MODERN, "2030-01-01", "1.0", ""])
def test_for_any_other_the_newest_with_a_handshake_is_offered(name: str) -> None:
    assert negotiate(asked(protocolVersion=name)).name == "2025-11-25"


@pytest.mark.parametrize(
    "wrong",
    [
        {"protocolVersion": 1},
        {"protocolVersion": None},
        {"capabilities": []},
        {"clientInfo": {"name": "c"}},
        {"clientInfo": "c"},
    ],
)
def test_a_handshake_names_the_parameter_that_is_wrong(wrong: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError, match=f"params.{next(iter(wrong))}") as refused:
        negotiate(asked(**wrong))
    assert refused.value.code == INVALID_PARAMS
    missing = {name: value for name, value in asked().items() if name not in wrong}
    with pytest.raises(ProtocolError, match=f"params.{next(iter(wrong))}"):
        negotiate(missing)


def test_levels_are_known_by_name_alone() -> None:
    assert [level_of(name) for name in LOG_LEVELS] == list(LOG_LEVELS)
    for name in (None, "", "WARNING", "warn"):
        with pytest.raises(ProtocolError) as refused:
            level_of(name)
        assert refused.value.code == INVALID_PARAMS
