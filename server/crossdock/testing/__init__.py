"""The contract kit for authors of adapters, under SemVer: a contract, fixtures, sandboxes.

What stands here is imported when it is asked for: a sandbox imports this package as well, and needs
none of it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crossdock.testing.contract import AdapterContract
    from crossdock.testing.fault import Fault
    from crossdock.testing.tools import AccountTools, ToolAnswer, ToolError
    from crossdock.testing.workbench import Clock, Provider, Workbench

__all__ = [
    "AccountTools",
    "AdapterContract",
    "Clock",
    "Fault",
    "Provider",
    "ToolAnswer",
    "ToolError",
    "Workbench",
]

_PLACES = {
    "AdapterContract": "contract",
    "ToolAnswer": "tools",
    "Clock": "workbench",
    "Fault": "fault",
    "Provider": "workbench",
    "ToolError": "tools",
    "AccountTools": "tools",
    "Workbench": "workbench",
}


def __getattr__(name: str) -> Any:
    place = _PLACES.get(name)
    if place is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{place}"), name)
