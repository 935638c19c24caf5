"""The keys that seal credentials: renewed while everything serves. No URL depends on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crossdock.access.gate import Caller
    from crossdock.control.audited import Audited
    from crossdock.store import Rotation, Store
    from crossdock.store.master_key import MasterKey


class KeyControl:
    """What whoever holds the master key does with the key ring."""

    def __init__(self, store: Store, audited: Audited) -> None:
        self._store = store
        self._audited = audited

    async def rotate(self, actor: Caller) -> Rotation:
        """Seal every credential with a new data key; an interrupted rotation is gone on with."""
        with self._audited(actor, "keys.rotate") as verb:
            done = await self._store.rotate_keys()
            verb.target = done.key_id
        return done

    async def rewrap(self, master: MasterKey, actor: Caller) -> int:
        """Wrap all keys by another master key; only that one opens the store from then on."""
        with self._audited(actor, "keys.rewrap"):
            return await self._store.keys.rewrap(master)
