"""One tree of errors, and one list of kinds that clients may meet."""

from __future__ import annotations

import inspect

from crossdock import errors
from crossdock.adapter.failures import read_failure
from crossdock.adapter.manifest import FailuresSpec
from crossdock.errors import CrossdockError, ToolFailure, UpstreamFailure

# What the contract promises to clients; a new kind is a change of product.
KINDS = {
    "invalid_arguments", "upstream_rejected", "not_found", "forbidden", "unauthenticated",
    "rate_limited", "upstream_error", "upstream_timeout", "upstream_unreachable",
    "upstream_malformed", "upstream_too_large", "upstream_redirect", "conflict",
    "write_outcome_unknown", "write_not_verified", "busy", "bad_tool_output",
}  # fmt: skip


def _classes() -> list[type]:
    return [
        one
        for one in vars(errors).values()
        if inspect.isclass(one)
        and issubclass(one, BaseException)
        and one.__module__ == errors.__name__
    ]


def test_every_error_descends_from_the_root_and_says_when_it_is_raised() -> None:
    for one in _classes():
        assert issubclass(one, CrossdockError), one
        assert one.__doc__


def test_failures_of_tools_have_a_kind_of_the_contract() -> None:
    own = {
        one.kind
        for one in _classes()
        if issubclass(one, ToolFailure) and one not in (ToolFailure, UpstreamFailure)
    }
    assert own <= KINDS


def test_every_status_of_a_provider_becomes_a_kind_of_the_contract() -> None:
    for status in range(300, 600):
        assert read_failure(status, {}, b"", FailuresSpec()).kind in KINDS


def test_only_a_clear_no_of_the_provider_is_a_rejection() -> None:
    def failed(status: int | None, *, sent: bool = True) -> UpstreamFailure:
        return UpstreamFailure("upstream_error", "x", status=status, sent=sent)

    assert failed(None, sent=False).rejected
    assert failed(400).rejected
    assert failed(429).rejected
    assert not failed(None).rejected
    assert not failed(500).rejected
    assert not failed(302).rejected
