"""The external clients, for tests that ask whether a stranger's program can use the gateway."""

from __future__ import annotations

from types import ModuleType

import pytest
from clients import environments


@pytest.fixture(scope="session")
def clients() -> ModuleType:
    """Give tests/clients/environments.py: `await clients.drive("mcp2", url, steps)`.

    A client that cannot be installed skips the test that asks for it; in CI it fails the test.
    """
    return environments
