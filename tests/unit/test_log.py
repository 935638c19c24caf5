"""Redaction is the last processor: nothing gets past it, whatever the format."""

from __future__ import annotations

import io
import json
import logging
from typing import Literal

import pytest

from crossdock.access.tokens import mint
from crossdock.log import configure, logger
from crossdock.redaction import Redactor, redactor

pytestmark = pytest.mark.requirement("door:token:never-logged")


@pytest.mark.parametrize("format", ["json", "console"])
def test_tokens_and_known_secrets_are_hidden_in_every_field(
    restored: None, format: Literal["json", "console"]
) -> None:
    stream = io.StringIO()
    configure("debug", format, stream)
    token, secret = mint("mcp"), "known-secret-6f0a"
    redactor.learn([secret])
    log = logger("test")
    log.info(
        "event",
        url=f"http://h/mcp/{token}/x?y",
        deep={"a": [token, {"b": secret}]},
        raw=token.encode(),
    )
    log.warning(f"{token} in the event itself")
    try:
        raise ValueError(f"{secret} in an error")
    except ValueError as error:
        log.error("failed", exc_info=error)
    logging.getLogger("aiohttp.server").error("GET /mcp/%s HTTP/1.1", token)
    text = stream.getvalue()
    assert token not in text
    assert secret not in text
    assert text.count("[redacted]") >= 6
    if format == "json":
        assert all(json.loads(line)["event"] for line in text.splitlines())


def test_any_capability_in_a_path_is_hidden_whatever_its_form() -> None:
    clean = Redactor().clean
    assert clean("POST /mcp/abc/messages") == "POST /mcp/[redacted]/messages"
    assert clean('"/mcp/abc"') == '"/mcp/[redacted]"'
    assert clean("/mcp/{token}") == "/mcp/{token}"  # a route's template is no secret
    assert clean("/.well-known/oauth/mcp/abc?x") == "/.well-known/oauth/mcp/[redacted]?x"
    assert clean("nothing here") == "nothing here"


def test_secrets_that_contain_each_other_are_hidden_whole() -> None:
    one = Redactor()
    one.learn(["secret-1", "secret-1-and-more", "short"])
    assert one.clean("secret-1-and-more secret-1") == "[redacted] [redacted]"
    assert one.clean("short") == "short"  # shorter ones would hide words


def test_characters_that_mean_something_in_patterns_are_taken_literally() -> None:
    one = Redactor()
    one.learn(["a.*(b)[c]+$"])
    assert one.clean("a.*(b)[c]+$ and axxb") == "[redacted] and axxb"


def test_of_very_many_secrets_the_latest_are_known() -> None:
    one = Redactor()
    one.learn(f"token-{number:06}" for number in range(1500))
    assert one.clean("token-001499") == "[redacted]"
