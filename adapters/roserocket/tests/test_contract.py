"""What every adapter promises, proven on the sandbox with examples.toml."""

from __future__ import annotations

from crossdock.testing import AdapterContract


class TestRoserocket(AdapterContract):
    adapter = "crossdock_roserocket"
    switches = {"search_lag": 0, "event_lag": 0}
