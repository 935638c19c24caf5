"""What every adapter promises, proven on the sandbox with examples.toml."""

from __future__ import annotations

from crossdock.testing import AdapterContract


class TestMalomo(AdapterContract):
    adapter = "crossdock_malomo"
    switches = {"lag_seconds": 0.0}
