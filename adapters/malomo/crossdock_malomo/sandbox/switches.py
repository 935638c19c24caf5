"""What can be set about the sandbox: Malomo's undocumented choices, and faults in force."""

from __future__ import annotations

from typing import Literal

import msgspec

from crossdock.testing.sandbox import Fault, Profile


class Interference(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another writer, who changes an order's shipments right after its nth read or write."""

    order_id: str
    carrier: str
    tracking_code: str
    action: Literal["add", "remove"] = "add"
    after: Literal["read", "write"] = "read"
    nth: int = 1


class Switches(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Malomo's undocumented choices, with a likely one as default, and the faults in force."""

    page_size: int = 50
    cursor_header: Literal["link", "x-next-cursor"] = "link"
    cursor_seconds: float | None = None
    """How long a cursor lives; None: for ever."""
    lookup_as_list: bool = False
    """Answer a look-up with a list of one instead of the order."""
    number_without_email_status: int = 400
    wrong_version_status: int = 406
    publishable_status: int = 403
    """What a publishable key gets where it may not go."""
    omitted_shipments_are_dropped: bool = False
    """Whether a PUT without `shipments` removes them all."""
    delete_status: Literal[200, 204] = 204
    events_order: Literal["newest", "oldest"] = "newest"
    lag_seconds: float = 0.2
    """How long lists, look-ups and histories show new orders, changes and events late; reading one
    order by its id shows them at once."""
    customer_is_replaced: bool = True
    """Whether a PUT with part of a customer forgets the other part, as it does with `meta`."""
    unknown_fields: Literal["dropped", "refused"] = "dropped"
    loopback_webhooks: bool = False
    """Take http addresses on this machine, and post to them. No other host is ever posted to."""
    webhook_retry_seconds: float = 1.0
    """The first gap between two attempts; each later one is twice as long."""
    ignore_filters: bool = False
    stale_reads: int = 0
    """So many reads of an order after each write to it show it as it was before."""
    fail_reads: bool = False
    rate_headers: Profile | None = None
    """Limits told on successful answers."""
    interferences: tuple[Interference, ...] = ()
    faults: tuple[Fault, ...] = ()
