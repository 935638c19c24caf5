"""Tidewater as far as it is known, for `crossdock dev` and the tests."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from crossdock.testing.sandbox import Sandbox, fields_of


class Switches(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What Tidewater leaves undocumented."""

    read_only: bool = False


sandbox = Sandbox(
    name="Tidewater sandbox",
    auth={"scheme": "api_key", "header": "X-Tidewater-Key", "format": "{api_key}"},
    credentials={"api_key": "yard-key"},
    switches=Switches(),
)
gates = sandbox.collection(
    "gates", [{"id": "g7", "name": "North", "doors": [{"number": 1, "state": "open"}]}]
)


@sandbox.route("PUT /gates/{id}")
async def update(request: web.Request) -> Any:
    """Doors that are left out are gone."""
    gate = gates.find(request.match_info["id"])
    if not sandbox.switches.read_only:
        gate |= await fields_of(request)
    return gate


create_app, accounts = sandbox.create_app, sandbox.accounts
