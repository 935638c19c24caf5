"""The three places where a plugin can speak.

Hooks announce, objects behave: a hook never awaits. Names start with `crossdock_`.
"""

from __future__ import annotations  # pluggy <= 1.7 cannot register forward references on 3.14

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pluggy import HookspecMarker

from crossdock.authoring import hookimpl

if TYPE_CHECKING:
    from crossdock.adapter import Adapter
    from crossdock.authoring import CallEvent

__all__ = ["hookimpl", "hookspec"]

hookspec = HookspecMarker("crossdock")


@hookspec
def crossdock_adapters() -> Iterable[Adapter]:
    """Contribute adapters. Called once, at start-up and by `crossdock check`."""
    return ()


@hookspec(firstresult=True)
def crossdock_resolve_secret(scheme: str, reference: str) -> str | None:
    """Return the secret that config.toml names `scheme:reference`, or None to pass.

    Called in a thread when an account is opened, so it may block.
    """


@hookspec
def crossdock_call_finished(event: CallEvent) -> None:
    """Observe a finished call: names, kinds, durations. Never arguments, never data."""
