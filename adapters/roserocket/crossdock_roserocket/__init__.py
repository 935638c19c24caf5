"""The Rose Rocket adapter: one endpoint family for every kind of record, made plain.

Endpoints are in adapter.toml, words in docs/, what the provider documents of its objects in
catalogue.toml; the modules here help where the API needs a hand.
"""

from __future__ import annotations

from collections.abc import Iterator

from crossdock.adapter import Adapter, hookimpl, load_adapter
from crossdock_roserocket import boards, events, groups, objects, search
from crossdock_roserocket.catalogue import spelled
from crossdock_roserocket.typed import expand


@hookimpl
def crossdock_adapters() -> Iterator[Adapter]:
    """Contribute the adapter."""
    yield load_adapter(
        __name__,
        mappers={
            "objects.list": search.list_objects,
            "objects.get": objects.get_object,
            "objects.create": objects.create_object,
            "objects.update": objects.update_object,
            "objects.delete": objects.delete_object,
            "objects.upsert": objects.upsert_object,
            "objects.bulk_delete": objects.bulk_delete_objects,
            "objects.autocomplete": objects.autocomplete_objects,
            "objects_external.get": objects.get_external,
            "objects_external.update": objects.update_external,
            "objects_external.delete": objects.delete_external,
            "events.list": events.list_events,
            "events.create": events.create_event,
            "boards.list": boards.list_boards,
            "user_groups.search": groups.search_groups,
            "user_group_members.list": groups.list_members,
            "user_group_members.update": groups.change_members,
        },
        expand=expand,
        objects=spelled,
        sandbox=".sandbox",
    )
