"""Rose Rocket as an aiohttp application, for the demo, the contract kit and the tests. It keeps
everything in memory and speaks to nobody.

    POST /oauth/token, GET /authorize    the auth host
    /api/v2/platformModel/…              the API
    GET, POST /_sandbox/switches         read the switches; merge a JSON object into them
    GET, DELETE /_sandbox/requests       what was received (control routes left out); forget it
    GET, POST, DELETE /_sandbox/faults   what goes wrong, in the words of crossdock.testing
    POST /_sandbox/reset                 restore the seed and the first switches
    GET /_sandbox/tokens                 how often the token endpoint was asked, by grant
    POST /_sandbox/expire_tokens         end every access token now
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from aiohttp import web

from crossdock_roserocket.sandbox.organisation import wall_clock
from crossdock_roserocket.sandbox.records import known_id
from crossdock_roserocket.sandbox.seed import GROUP_FIELD
from crossdock_roserocket.sandbox.server import API_PATH, Sandbox
from crossdock_roserocket.sandbox.switches import Switches
from crossdock_roserocket.sandbox.tokens import (
    CLIENT_ID,
    CLIENT_SECRET,
    ORG_ID,
    REFRESH_TOKEN,
    USER_ID,
)

__all__ = ["GROUP_FIELD", "REFRESH_TOKEN", "Switches", "accounts", "create_app", "known_id"]


def create_app(
    switches: Switches | None = None,
    *,
    now: Callable[[], datetime] = wall_clock,
    clock: Callable[[], float] = time.monotonic,
) -> web.Application:
    """Build the application. `now` and `clock` let a test own the time."""
    return Sandbox(switches or Switches(), now, clock).application()


def accounts(base_url: str) -> list[dict[str, Any]]:
    """Return the accounts that a sandbox at `base_url` knows: a service account."""
    origin = base_url.rstrip("/")
    return [
        {
            "name": "Rose Rocket sandbox",
            "settings": {
                "base_url": f"{origin}{API_PATH}",
                "token_url": f"{origin}/oauth/token",
                "task_group_field": GROUP_FIELD,
            },
            "credentials": {
                "client_id": CLIENT_ID,
                "client_secret": CLIENT_SECRET,
                "org_id": ORG_ID,
                "user_id": USER_ID,
            },
        }
    ]
