"""Adapters × accounts × scopes → tools. The one place that decides what a grant may call.

What is listed and what can be called come from the same filtered map, so they cannot differ.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from cachetools import LRUCache

from crossdock.adapter.load import Adapter, Binding, Toolset
from crossdock.adapter.naming import STANDARD_METHODS
from crossdock.authoring import Tool
from crossdock.calls.accounts import OpenAccounts
from crossdock.errors import AdapterError, InvalidArguments, UnknownTool
from crossdock.log import logger
from crossdock.model import Account, Grant, Scope, Struct, ToolList, Withheld

_GROUPS = frozenset({"read", "write", "custom"})
_VIEWS = 4096
log = logger(__name__)


class View(Struct, frozen=True, kw_only=True):
    """The tools of one account under one scope, at one generation."""

    account: Account
    adapter: Adapter
    generation: int
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
    """Finds tools. Keeps filtered maps per account and scope; never any provider data."""

    def __init__(self, adapters: Mapping[str, Adapter], accounts: OpenAccounts) -> None:
        self.adapters = adapters
        self._accounts = accounts
        self._views: LRUCache[tuple[str, Scope, frozenset[str] | None], View] = LRUCache(_VIEWS)

    def listing(self, grant: Grant) -> ToolList:
        """Return the grant's tools, made from the documentation as it lies on disk now."""
        account = self._accounts.get(grant.account_id)
        self._refresh(self.adapters[account.integration])
        return self._view(account, grant).listing

    def find(self, grant: Grant, name: str) -> Bound:
        """Return a tool by its exact name. Raises UnknownTool; hidden and unknown look alike."""
        view = self._view(self._accounts.get(grant.account_id), grant)
        binding = view.bindings.get(name)
        if binding is None:
            raise UnknownTool(name)
        return Bound(binding=binding, account=view.account, adapter=view.adapter)

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
        if adapter.spell_object is None:
            raise InvalidArguments(
                "", f"{adapter.manifest.title} has no kinds of records; leave it out"
            )
        return adapter.spell_object(name)

    def words(self, account: Account) -> frozenset[str]:
        """Return every word that `methods` may hold for this account."""
        return method_words(self._toolset(self.adapters[account.integration], account))

    def tags(self, account: Account) -> frozenset[str]:
        """Return every tag that a tool of this account carries."""
        return tags_of(self._toolset(self.adapters[account.integration], account))

    def refresh(self) -> tuple[int, ...]:
        """Read newer pages of all adapters; return the generations that there are now."""
        for adapter in self.adapters.values():
            self._refresh(adapter)
        return tuple(adapter.generation for adapter in self.adapters.values())

    def _refresh(self, adapter: Adapter) -> None:
        try:
            if adapter.refresh():
                log.info("adapter.changed", adapter=adapter.name, generation=adapter.generation)
        except (AdapterError, OSError) as error:
            # The tools stay as they were: a half-saved file must not take them away.
            log.error("adapter.broken", adapter=adapter.name, error=str(error))

    def _view(self, account: Account, grant: Grant) -> View:
        adapter = self.adapters[account.integration]
        scope, accepted = grant.scope, _accepted(adapter, grant)
        key = (account.id, scope, accepted)
        view = self._views.get(key)
        if (
            view is not None
            and view.generation == adapter.generation
            and view.account.version == account.version
        ):
            return view
        toolset = self._toolset(adapter, account)
        kept = {
            name: binding
            for name, binding in toolset.bindings.items()
            if permits(scope, binding.tool) and (accepted is None or name in accepted)
        }
        tools = tuple(binding.tool for binding in kept.values())
        view = View(
            account=account,
            adapter=adapter,
            generation=adapter.generation,
            bindings=kept,
            listing=ToolList(tools=tools, rendered={}),
        )
        self._views[key] = view
        return view

    def _toolset(self, adapter: Adapter, account: Account) -> Toolset:
        return adapter.toolset(adapter.complete(account.settings))


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
