"""The grammar of tool names: resource + method → name. Nothing else makes names."""

from __future__ import annotations

import re

from crossdock.authoring import Effect

_STANDARD: dict[str, tuple[str, Effect]] = {
    "list": ("list_all_{adapter}_{resource}", "read"),
    "get": ("get_single_{adapter}_{singular}_by_id", "read"),
    "create": ("create_a_{adapter}_{singular}", "write"),
    "update": ("update_a_{adapter}_{singular}_by_id", "write"),
    "delete": ("delete_a_{adapter}_{singular}_by_id", "destructive"),
}
STANDARD_METHODS = frozenset(_STANDARD)
LONGEST_NAME = 64  # what clients and model APIs accept at most
_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]*")


def is_identifier(text: str) -> bool:
    """Tell whether `text` may name an adapter, a resource or a method."""
    return bool(_IDENTIFIER.fullmatch(text))


def singular_of(resource: str) -> str:
    """Return the resource less one final `s`."""
    return resource.removesuffix("s")


def tool_name(adapter: str, resource: str, method: str, singular: str) -> str:
    """Return the name of the tool for a method of a resource."""
    pattern, _ = _STANDARD.get(method, ("{adapter}_{resource}_{method}", "write"))
    return pattern.format(adapter=adapter, resource=resource, method=method, singular=singular)


def default_effect(method: str) -> Effect:
    """Return what a method does unless its endpoint says otherwise."""
    return _STANDARD.get(method, ("", "write"))[1]


def tool_title(title: str, resource: str, method: str, singular: str) -> str:
    """Return the words shown to people: `List Malomo order events`."""
    noun = (resource if method == "list" else singular).replace("_", " ")
    if method in STANDARD_METHODS:
        return f"{method.capitalize()} {title} {noun}"
    return f"{title} {resource.replace('_', ' ')}: {method.replace('_', ' ')}"
