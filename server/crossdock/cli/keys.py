"""`crossdock keys`: the keys that seal credentials. Their change ends no URL and no API token."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from crossdock.cli.opening import operator, with_gateway
from crossdock.cli.output import Config, Json, print_json, print_table

if TYPE_CHECKING:
    from crossdock.gateway import Gateway

keys = App(name="keys", help="The keys that seal credentials.")


@keys.command
def rotate(*, config: Config = None, json: Json = False) -> int:
    """Seal every credential with a new data key, while the gateway serves.

    May be interrupted at any moment; run it again to go on. Exits 1 when something cannot be read.
    Example: `crossdock keys rotate`
    """

    async def work(gateway: Gateway) -> int:
        done = await gateway.control.keys.rotate(operator())
        if json:
            print_json(done)
        else:
            word = "went on with" if done.resumed else "made"
            print(f"{word} the data key {done.key_id}; {done.resealed} credentials sealed with it")
        for name in done.unreadable:
            print(
                f"crossdock: {name} cannot be read with any key; set it again with "
                f"`crossdock account update {name.partition('.')[0]}`",
                file=sys.stderr,
            )
        return int(bool(done.unreadable))

    return with_gateway(config, work)


@keys.command(name="list")
def list_keys(*, config: Config = None, json: Json = False) -> int:
    """List the keys of the ring: their purpose and age, never the keys.

    Example: `crossdock keys list`
    """

    async def work(gateway: Gateway) -> int:
        found = await gateway.store.keys.list()
        if json:
            print_json(found)
            return 0
        rows = [(one.id, one.purpose, one.status, one.created_at) for one in found]
        print_table(("id", "purpose", "status", "created"), rows)
        return 0

    return with_gateway(config, work)


@keys.command
def rewrap(
    *,
    to: Annotated[
        str, Parameter(help="The new master key: file:PATH (made if missing), or env:NAME.")
    ],
    config: Config = None,
) -> int:
    """Wrap all keys by another master key. Stop the gateway first.

    Afterwards [secrets] key must name the new one. No URL and no API token changes.
    Example: `crossdock keys rewrap --to file:state/master-2027.key`
    """
    from crossdock.store.master_key import MasterKey

    async def work(gateway: Gateway) -> int:
        await gateway.store.lease()  # a serving gateway would go on with the old master key
        master = MasterKey(to, gateway.settings.folder, gateway.plugins.resolve_secret)
        count = await gateway.control.keys.rewrap(master, operator())
        print(f'{count} keys are wrapped anew; set [secrets] key = "{to}" before the next start')
        return 0

    return with_gateway(config, work)
