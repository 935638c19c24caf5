"""Adapters × accounts × scopes → tools. The one place that decides what a grant may call.

What is listed and what can be called come from the same filtered map, so they cannot differ.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from cachetools import LRUCache

from crossdock.adapter.binding import Binding, Toolset
from crossdock.adapter.load import Adapter
from crossdock.adapter.naming import STANDARD_METHODS
from crossdock.authoring import Tool
from crossdock.calls.accounts import OpenAccounts
from crossdock.errors import AdapterError, UnknownTool
from crossdock.log import logger
from crossdock.model import Account, Grant, Scope, Struct, ToolList, Withheld

_GROUPS = frozenset({"read", "write", "custom"})
_VIEWS = 4096
_ACCOUNTS = 65_536
log = logger(__name__)


class View(Struct, frozen=True, kw_only=True):
    """What a scope lets out of a toolset; shared by all accounts that have the same toolset."""

    accepted: frozenset[str] | None
    bindings: Mapping[str, Binding]
    listing: ToolList


class Bound(Struct, frozen=True, kw_only=True):
    """A tool that a grant may call, with the account it acts on."""

    binding: Binding
    account: Account
    adapter: Adapter


class Preview(Struct, frozen=True, kw_only=True):
    """What a scope would let out, and what stays in."""

    tools: tuple[Tool, ...]
    withheld: tuple[Withheld, ...]
    hidden: int


class Catalog:
    """Finds tools. Keeps filtered maps per toolset and scope; never any provider data.

    To list or find takes as long for many tools and servers as for one, and asks no disk: call
    `refresh` when `outdated` says that a page was changed.
    """

    def __init__(self, adapters: Mapping[str, Adapter], accounts: OpenAccounts) -> None:
        self.adapters = adapters
        self._accounts = accounts
        self._views: LRUCache[tuple[Toolset, Scope, str | None], View] = LRUCache(_VIEWS)
        self._toolsets: LRUCache[str, tuple[int, Toolset]] = LRUCache(_ACCOUNTS)
        self._seen = self.generations

    def listing(self, grant: Grant) -> ToolList:
        """Return the grant's tools."""
        return self._view(self._accounts.get(grant.account_id), grant).listing

    def find(self, grant: Grant, name: str) -> Bound:
        """Return a tool by its exact name. Raises UnknownTool; hidden and unknown look alike."""
        account = self._accounts.get(grant.account_id)
        binding = self._view(account, grant).bindings.get(name)
        if binding is None:
            raise UnknownTool(name)
        return Bound(binding=binding, account=account, adapter=self.adapters[account.integration])

    def preview(self, account: Account, scope: Scope) -> Preview:
        """Return what a server with this scope would have."""
        adapter = self.adapters[account.integration]
        self._refresh(adapter)
        toolset = self._toolset(adapter, account)
        tools = [binding.tool for binding in toolset.bindings.values()]
        kept = tuple(tool for tool in tools if permits(scope, tool))
        return Preview(tools=kept, withheld=toolset.withheld, hidden=len(tools) - len(kept))

    def documented(self, account: Account) -> tuple[str, ...]:
        """Return the names of all tools there are for this account, whatever the scope."""
        return tuple(self._toolset(self.adapters[account.integration], account).bindings)

    def pending(self, account: Account, grant: Grant) -> tuple[str, ...]:
        """Return the tools that the scope lets out and that wait to be accepted."""
        adapter = self.adapters[account.integration]
        accepted = _accepted(adapter, grant)
        if accepted is None:
            return ()
        bindings = self._toolset(adapter, account).bindings
        return tuple(
            name
            for name, binding in bindings.items()
            if name not in accepted and permits(grant.scope, binding.tool)
        )

    def object(self, account: Account, name: str) -> str:
        """Return a kind of record as the provider spells it. Raises InvalidArguments."""
        adapter = self.adapters[account.integration]
        return adapter.spelled_object(name)

    def words(self, account: Account) -> frozenset[str]:
        """Return every word that `methods` may hold for this account."""
        return method_words(self._toolset(self.adapters[account.integration], account))

    def tags(self, account: Account) -> frozenset[str]:
        """Return every tag that a tool of this account carries."""
        return tags_of(self._toolset(self.adapters[account.integration], account))

    @property
    def generations(self) -> tuple[int, ...]:
        """How often the pages of each adapter were read."""
        return tuple(adapter.generation for adapter in self.adapters.values())

    def outdated(self) -> bool:
        """Whether a page is newer than what was read of it. Asks the disk; any thread may."""
        return any(adapter.outdated() for adapter in self.adapters.values())

    def refresh(self) -> None:
        """Read newer pages of all adapters."""
        for adapter in self.adapters.values():
            self._refresh(adapter)

    def _refresh(self, adapter: Adapter) -> None:
        try:
            if adapter.refresh():
                log.info("adapter.changed", adapter=adapter.name, generation=adapter.generation)
        except (AdapterError, OSError) as error:
            # The tools stay as they were: a half-saved file must not take them away.
            log.error("adapter.broken", adapter=adapter.name, error=str(error))

    def _view(self, account: Account, grant: Grant) -> View:
        adapter = self.adapters[account.integration]
        toolset = self._toolset_of(adapter, account)
        accepted = _accepted(adapter, grant)
        key = (toolset, grant.scope, None if accepted is None else grant.server_id)
        view = self._views.get(key)
        if view is None or view.accepted is not accepted:
            view = self._views[key] = _view(toolset, grant.scope, accepted)
        return view

    def _toolset_of(self, adapter: Adapter, account: Account) -> Toolset:
        known = self._toolsets.get(account.id)
        if known is not None:
            version, toolset = known
            if toolset.generation == adapter.generation and version == account.version:
                return toolset
        if self._seen != self.generations:  # views of what there no longer is would only fill room
            self._seen = self.generations
            self._views.clear()
        toolset = self._toolset(adapter, account)
        self._toolsets[account.id] = (account.version, toolset)
        return toolset

    def _toolset(self, adapter: Adapter, account: Account) -> Toolset:
        return adapter.toolset(adapter.complete(account.settings), account.overlay)


def _view(toolset: Toolset, scope: Scope, accepted: frozenset[str] | None) -> View:
    bindings = {
        name: binding
        for name, binding in toolset.bindings.items()
        if permits(scope, binding.tool) and (accepted is None or name in accepted)
    }
    tools = tuple(binding.tool for binding in bindings.values())
    return View(accepted=accepted, bindings=bindings, listing=ToolList(tools=tools, rendered={}))


def _accepted(adapter: Adapter, grant: Grant) -> frozenset[str] | None:
    """Return the tools that a newer adapter may offer to this server; None: all."""
    if grant.scope.accept_new_tools or grant.accepted_version == adapter.version:
        return None
    return grant.accepted_tools


def method_words(toolset: Toolset) -> frozenset[str]:
    """Return every word that `methods` may hold for these tools."""
    own = {binding.tool.method for binding in toolset.bindings.values()}
    return _GROUPS | STANDARD_METHODS | own


def tags_of(toolset: Toolset) -> frozenset[str]:
    """Return every tag that one of these tools carries."""
    return frozenset(tag for b in toolset.bindings.values() for tag in b.tool.tags)


def unknown_word(word: str, known: Iterable[str]) -> str:
    """Say that no tool knows a filter's word, with the one that may have been meant."""
    words = sorted(known)
    near = difflib.get_close_matches(word, words, 1)
    hint = f" did you mean {near[0]}? Use" if near else " use"
    return f"{word!r} is unknown;{hint} {', '.join(words) or 'none'}"


def permits(scope: Scope, tool: Tool) -> bool:
    """Tell whether a scope lets a tool out: methods AND tags AND objects."""
    return (
        _method_fits(scope.methods, tool)
        and (scope.tags is None or not set(scope.tags).isdisjoint(tool.tags))
        and (scope.objects is None or not tool.object or tool.object in scope.objects)
    )


def _method_fits(methods: tuple[str, ...] | None, tool: Tool) -> bool:
    if methods is None:
        return True
    return (
        tool.method in methods
        or ("read" in methods and tool.effect == "read")
        or ("write" in methods and tool.effect != "read")
        or ("custom" in methods and tool.method not in STANDARD_METHODS)
    )
