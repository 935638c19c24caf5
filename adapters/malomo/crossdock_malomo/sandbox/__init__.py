"""Malomo as far as it is known, as an aiohttp application for demo, contract kit and tests.

What Malomo does not document is a switch. Everything is kept in memory and forgotten at the end.
Webhooks are signed and posted to this machine only, and that only with `loopback_webhooks`. Beside
the API there are control routes under `/_sandbox`:

    GET, POST /_sandbox/switches     read the switches; merge a JSON object into them
    GET, DELETE /_sandbox/requests   what was received (control routes left out); forget it
    GET /_sandbox/posts              what was, or would have been, posted to webhooks
    GET, POST, DELETE /_sandbox/faults   what goes wrong, in the words of crossdock.testing
    POST /_sandbox/reset             restore the seed and the default switches
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from aiohttp import web

from crossdock_malomo.sandbox.routes import build
from crossdock_malomo.sandbox.seed import seeded
from crossdock_malomo.sandbox.switches import Interference, Switches

__all__ = ["Interference", "Switches", "accounts", "create_app"]

API_KEY = "sk_sandbox"
"""Every key that begins so is a secret key of the same shop; `pk_sandbox…` are publishable."""


def create_app(switches: Switches | None = None, *, now: datetime | None = None) -> web.Application:
    """Build the application. With a fixed `now` the seed is the same, byte for byte."""
    return build(seeded(now), switches or Switches())


def accounts(base_url: str) -> list[dict[str, Any]]:
    """Return the accounts that this sandbox has, ready for the gateway."""
    return [
        {
            "name": "Malomo sandbox",
            "settings": {"base_url": base_url},
            "credentials": {"api_key": API_KEY},
        }
    ]
