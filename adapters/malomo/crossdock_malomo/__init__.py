"""The Malomo adapter: endpoints in adapter.toml, words in docs/, behaviour where it is needed."""

from __future__ import annotations

from collections.abc import Iterator

from crossdock.adapter import Adapter, hookimpl, load_adapter
from crossdock_malomo.customers import create_customer, update_customer
from crossdock_malomo.events import create_event
from crossdock_malomo.lookups import list_orders
from crossdock_malomo.orders import create_order, update_order
from crossdock_malomo.webhooks import create_webhook, update_webhook


@hookimpl
def crossdock_adapters() -> Iterator[Adapter]:
    """Contribute the adapter."""
    mappers = {
        "customers.create": create_customer,
        "customers.update": update_customer,
        "order_events.create": create_event,
        "orders.create": create_order,
        "orders.list": list_orders,
        "orders.update": update_order,
        "webhooks.create": create_webhook,
        "webhooks.update": update_webhook,
    }
    yield load_adapter(__name__, mappers=mappers, sandbox=".sandbox")
