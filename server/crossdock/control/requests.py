"""What operators send, decoded and judged field by field: every refusal names its field.

One set of Structs for the admin API, the CLI and the OpenAPI document.
"""

from __future__ import annotations

import ipaddress
import re
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec

from crossdock.calls.printable import UNSEEN
from crossdock.errors import Misfit, Rejected
from crossdock.model import Role, Scope, Struct

# Names are printed and told to models.
PRINTABLE = f"^[^{UNSEEN}]*$"
Name = Annotated[
    str,
    msgspec.Meta(min_length=1, max_length=200, pattern=PRINTABLE),
]
Values = Annotated[
    dict[str, Any],
    msgspec.Meta(description="Keys and types as the adapter's adapter.toml declares them."),
]
Credentials = Annotated[
    dict[str, Any],
    msgspec.Meta(
        description="Write-only.",
        extra_json_schema={"additionalProperties": {"type": "string", "minLength": 1}},
    ),
]
CredentialChanges = Annotated[
    dict[str, Any],
    msgspec.Meta(
        description="Replaced field by field; null takes one away. Write-only.",
        extra_json_schema={"additionalProperties": {"type": ["string", "null"]}},
    ),
]
Moment = Annotated[
    datetime, msgspec.Meta(description="A moment in the future, with its zone.", tz=True)
]
_ID = re.compile(r"[A-Za-z0-9_.-]{1,200}")
MOST_ENTRIES = 1_000  # of each list in a server's config
LONGEST_OVERLAP = 7 * 24 * 3600


class Body(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all bodies: unknown fields are refused by name."""


class NewAccount(Body, frozen=True, kw_only=True):
    """An integrated account to make."""

    integration: str
    name: Name
    settings: Values = {}
    credentials: Credentials = {}


class AccountChange(Body, frozen=True, kw_only=True):
    """A PATCH: settings are merged key by key (null removes one), credentials by field."""

    name: Name | msgspec.UnsetType = msgspec.UNSET
    settings: Values | msgspec.UnsetType = msgspec.UNSET
    credentials: CredentialChanges | msgspec.UnsetType = msgspec.UNSET


class NewServer(Body, frozen=True, kw_only=True):
    """An MCP server to make; `require_api_token_auth` is also taken at the top level."""

    name: Name
    config: Scope = Scope()
    expires_at: Moment | None = None
    require_api_token_auth: bool | None = None


class ServerChange(Body, frozen=True, kw_only=True):
    """A PATCH: `config` is merged key by key (null removes one), `expires_at: null` clears it."""

    name: Name | msgspec.UnsetType = msgspec.UNSET
    config: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    expires_at: Moment | msgspec.UnsetType | None = msgspec.UNSET
    require_api_token_auth: bool | msgspec.UnsetType = msgspec.UNSET


class Rotate(Body, frozen=True, kw_only=True):
    """How long the old URL stays good beside the new one; by default not at all."""

    overlap_seconds: Annotated[int, msgspec.Meta(ge=0, le=LONGEST_OVERLAP)] = 0


class AcceptTools(Body, frozen=True, kw_only=True):
    """Which pending tools to accept; all when left out."""

    tools: list[str] | None = None


class NewToken(Body, frozen=True, kw_only=True):
    """An API token to make."""

    name: Name
    role: Role
    expires_at: Moment | None = None


def convert(value: Any, kind: Any, prefix: str = "") -> Any:
    """Decode plain JSON values into a Struct. Raises Rejected (422) naming the field."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise field_error(error, prefix) from None


def field_error(error: msgspec.ValidationError, prefix: str = "") -> Rejected:
    """Return the 422 for a body that does not fit, with the path of the guilty field."""
    misfit = Misfit(error)
    reason, path = misfit.reason, misfit.path
    if name := misfit.unknown or misfit.absent:
        path = f"{path}.{name}" if path else name
        reason = "is unknown" if misfit.unknown else "is required"
    elif "timezone" in reason:
        reason = "has no time zone; write 2027-01-31T00:00:00Z"
    elif "regex" in reason:
        reason = "holds a control or invisible character"
    field = ".".join(part for part in (prefix, path) if part)
    return invalid(field or "body", reason[:1].lower() + reason[1:])


def invalid(field: str, why: str) -> Rejected:
    """Return the 422 that names a field."""
    return Rejected(422, "invalid_field", f"{field}: {why}", {"field": field})


def can_be_id(text: str) -> bool:
    """Whether a record could have this id; everything else need not be looked for."""
    return _ID.fullmatch(text) is not None


def missing(what: str, id: str) -> Rejected:
    """Return the 404; an id that nothing can have is not repeated: it may be a secret."""
    named = f" {id!r}" if can_be_id(id) and not id.startswith(("cdm_", "cda_")) else " of this id"
    return Rejected(404, "not_found", f"There is no {what}{named}.")


def future(moment: datetime | None, now: datetime) -> datetime | None:
    """Return an expiry in UTC. Raises Rejected unless it is a moment in the future."""
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise invalid("expires_at", "has no time zone; write 2027-01-31T00:00:00Z")
    try:
        moment = moment.astimezone(UTC)
    except OverflowError:
        raise invalid("expires_at", "is outside of the calendar") from None
    if moment <= now:
        raise invalid("expires_at", "is not in the future")
    return moment


def check_lists(scope: Scope, place: str = "config.") -> None:
    """Refuse empty filters, and networks that are none. Raises Rejected."""
    for field in ("methods", "tags", "objects", "allowed_ips", "second_factors"):
        entries = getattr(scope, field)
        if entries == ():
            raise invalid(f"{place}{field}", "is empty; leave it out to allow all")
        if entries is not None and len(entries) > MOST_ENTRIES:
            raise invalid(f"{place}{field}", f"has more than {MOST_ENTRIES:,} entries")
    for index, text in enumerate(scope.allowed_ips or ()):
        try:
            ipaddress.ip_network(text)
        except ValueError:
            raise invalid(
                f"{place}allowed_ips[{index}]",
                f'{text!r} is no address or network, as "203.0.113.7" or "10.0.0.0/8"',
            ) from None
