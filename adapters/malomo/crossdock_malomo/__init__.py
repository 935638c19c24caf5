"""The Malomo adapter: endpoints in adapter.toml, words in docs/, behaviour where it is needed."""

from __future__ import annotations

from collections.abc import Iterator

from crossdock.adapter import Adapter, hookimpl, load_adapter
from crossdock_malomo import sandbox
from crossdock_malomo.lookups import list_orders
from crossdock_malomo.shipments import update_order


@hookimpl
def crossdock_adapters() -> Iterator[Adapter]:
    """Contribute the adapter."""
    mappers = {"orders.list": list_orders, "orders.update": update_order}
    yield load_adapter(__name__, mappers=mappers, sandbox=sandbox)
