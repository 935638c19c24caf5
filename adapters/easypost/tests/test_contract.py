"""What every adapter promises, proven on the sandbox with examples.toml."""

from __future__ import annotations

from crossdock.testing import AdapterContract


class TestEasypost(AdapterContract):
    adapter = "crossdock_easypost"
