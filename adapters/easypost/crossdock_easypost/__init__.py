"""EasyPost: shipments, rates, labels, trackers and addresses. Plain REST but for two tools."""

from __future__ import annotations

from collections.abc import Iterator

from crossdock.adapter import Adapter, hookimpl, load_adapter

from .buying import buy
from .labels import label


@hookimpl
def crossdock_adapters() -> Iterator[Adapter]:
    """Contribute the adapter whose adapter.toml and docs/ lie beside this file."""
    mappers = {"shipments.buy": buy, "shipments.label": label}
    yield load_adapter(__name__, mappers=mappers, sandbox=".sandbox")
