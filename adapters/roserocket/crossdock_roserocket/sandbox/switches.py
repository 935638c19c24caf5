"""What nobody documents about Rose Rocket, as switches, beside the faults every network has.

A test that turns a switch says: whichever way the provider behaves, the adapter copes.
"""

from __future__ import annotations

from typing import Literal

import msgspec


class Switches(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the sandbox behaves. The defaults are what was observed, or the likeliest guess."""

    # --- tokens
    token_ttl: float = 1800
    token_says_expiry: bool = True
    token_seconds: float = 0  # how long the token endpoint takes
    token_fault: Literal["none", "500", "drop", "no_token"] = "none"
    rotate_refresh_tokens: bool = True
    refresh_reuse: Literal["refuse", "accept"] = "refuse"
    wrong_secret: Literal["invalid_client", "access_denied"] = "access_denied"
    require_org_header: bool = False
    role: Literal["manager", "viewer"] = "manager"

    # --- limits; none are documented
    rate_limit: Literal[
        "none", "retry_after", "retry_after_date", "x_ratelimit", "ratelimit", "structured", "bare"
    ] = "none"
    rate_limit_after: int = 0  # requests that pass before
    rate_limit_seconds: int = 30

    # --- faults of the API host
    fault: Literal[
        "none", "500", "502_html", "slow", "drop", "drop_after_commit", "not_json", "redirect"
    ] = "none"
    fault_on: str = ""  # "PUT /objects": which requests, by the start of verb and path
    fault_times: int = 0  # 0: always
    slow_seconds: float = 5

    # --- objects
    create_status: Literal[200, 201] = 200
    upsert_create_status: Literal[200, 201] = 201
    wrong_option: Literal["422", "400", "partial"] = "422"
    unknown_field: Literal["drop", "refuse", "store"] = "drop"  # a name that no field has
    custom_field: Literal["store", "drop", "refuse"] = "store"  # one of those ending in __c
    refused_field: str = ""  # the role may not write it: left out, and said in `errors`
    taken_external_id: Literal[400, 409, 500] = 409
    bad_uuid: Literal[400, 404] = 400
    encoded_slash: Literal["accept", "reject"] = "accept"
    user_objects: bool = True  # whether objectKey user can be read by external id
    autocomplete_shape: Literal["array", "results", "record"] = "array"
    bulk_delete_max: int = 0  # 0: no limit
    bulk_delete_keeps: bool = False  # say yes and delete nothing

    # --- search
    search_lag: float = 2  # seconds until search knows of a write; observed: up to minutes
    search_500: bool = True
    search_max: int = 1000
    search_over_max: Literal["clamp", "reject"] = "clamp"

    # --- events
    event_lag: float = 1
    bookmark: Literal["exclusive", "inclusive"] = "exclusive"
    events_direction: Literal["asc", "desc"] = "asc"  # where the request does not say
    events_wrong_key: Literal["empty", "404"] = "empty"

    # --- boards and groups
    boards_read: Literal["query", "body", "nothing"] = "query"
    group_match: Literal["contains", "exact", "prefix"] = "contains"
    group_match_case: bool = False
    unknown_member: Literal["accept", "400"] = "accept"


def changed(switches: Switches, fields: object) -> Switches:
    """Return the switches with these fields set. Raises msgspec.ValidationError."""
    if not isinstance(fields, dict):
        raise msgspec.ValidationError("send a JSON object of switches")
    merged = msgspec.structs.asdict(switches) | fields
    return msgspec.convert(merged, Switches)
