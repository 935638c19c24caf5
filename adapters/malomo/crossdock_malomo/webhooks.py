"""webhooks.create and webhooks.update: where customers' data may be sent, and what was changed."""

from __future__ import annotations

import re
from collections.abc import Sequence

from crossdock.adapter import Call, Context, InvalidArguments, Outcome, UpstreamFailure
from crossdock_malomo.creates import create
from crossdock_malomo.fields import Given
from crossdock_malomo.given import filled, left_out, required
from crossdock_malomo.updates import update_fields

DOCUMENTED_TOPIC = "events:created"
LONGEST_URL = 2048
_EXAMPLE = "https://hooks.example.com/malomo"
# One strict form, so that no two readers of a URL can find two hosts in it.
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9.-]+)(?::[0-9]{1,5})?(?:[/?][\x21-\x5b\x5d-\x7e]*)?",
    re.IGNORECASE,
)
_NAME = re.compile(
    r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+(?:[a-z]{2,63}|xn--[a-z0-9-]{2,59})"
)
# 127.0.0.1.nip.io and 10-0-0-1.sslip.io lead to the address that they spell.
_SPELLED_ADDRESS = re.compile(r"(?:^|[.-])(?:[0-9]{1,3}[.-]){3}[0-9]{1,3}(?:[.-]|$)")
_PRIVATE = ("arpa", "corp", "home", "internal", "intranet", "lan", "local", "localdomain",
            "localhost", "private")  # fmt: skip
_TAKEN = (
    "If the topic has a webhook already, which list_all_malomo_webhooks shows, move that one with "
    "update_a_malomo_webhook_by_id."
)
_LOOPBACK = ("127.0.0.1", "localhost")


async def create_webhook(call: Call, context: Context) -> Outcome:
    """Register an address for a topic."""
    fields, empty = filled(call.body)
    required(fields, "topic", f'"{DOCUMENTED_TOPIC}"')
    required(fields, "url", f'"{_EXAMPLE}"')
    check_destination(fields["url"], _hosts(context))
    notes = left_out(empty)
    if fields["topic"] != DOCUMENTED_TOPIC:
        notes.append(
            f"Malomo documents no topic but {DOCUMENTED_TOPIC}; whether it ever posts "
            f"{fields['topic']} is unconfirmed."
        )
    try:
        return await create(call, context, "webhook", fields, notes)
    except UpstreamFailure as failure:
        if failure.kind in ("upstream_rejected", "conflict"):
            failure.args = (f"{str(failure).rstrip('.')}. {_TAKEN}",)
        raise


async def update_webhook(call: Call, context: Context) -> Outcome:
    """Move, pause or resume a webhook."""
    fields, empty = filled(call.body)
    if "url" in fields:
        check_destination(fields["url"], _hosts(context))
    return await update_fields(call, context, "webhook", Given(fields), left_out(empty))


def _hosts(context: Context) -> list[str]:
    return [str(one).strip().lower() for one in context.settings["webhook_hosts"]]


def check_destination(url: str, hosts: Sequence[str]) -> None:
    """Refuse an address that customers' data may not go to. Raises InvalidArguments.

    `hosts` is the account's setting: names, `*.` before a name for all below it, `*` for every
    public one. Loopback passes only if it is named, and may then be plain http.
    """
    found = _URL.fullmatch(url) if len(url) <= LONGEST_URL else None
    if found is None:
        raise InvalidArguments(
            "url",
            "is not a plain https address of at most 2,048 ASCII characters, without user, blank "
            f"or backslash; e.g. {_EXAMPLE}",
        )
    host = found["host"].lower().removesuffix(".")
    if host in _LOOPBACK and host in hosts:
        return
    if found["scheme"].lower() != "https":
        raise InvalidArguments(
            "url",
            f"must begin with https://, as Malomo posts customers' data there; e.g. {_EXAMPLE}",
        )
    if not _is_public_name(host):
        raise InvalidArguments(
            "url",
            f"{host!r} is not a public host name, and customers' data goes to no IP address and no "
            f"private, link-local or loopback host; e.g. {_EXAMPLE}",
        )
    if not any(_covers(one, host) for one in hosts):
        raise InvalidArguments(
            "url",
            f"{host!r} is no destination of this account; it allows {', '.join(hosts) or 'none'}. "
            "Use one of these, or have the operator add the host to the account's setting "
            "webhook_hosts",
        )


def _is_public_name(host: str) -> bool:
    return (
        len(host) <= 253
        and bool(_NAME.fullmatch(host))
        and host.rpartition(".")[2] not in _PRIVATE
        and not _SPELLED_ADDRESS.search(host)
    )


def _covers(pattern: str, host: str) -> bool:
    if pattern.startswith("*."):
        return host.endswith(pattern[1:])
    return pattern in ("*", host)
