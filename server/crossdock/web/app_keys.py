"""Typed keys of what the application holds; views find their collaborators by them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web

from crossdock.access.gate import Address, Gate
from crossdock.bus import Bus
from crossdock.config import Settings
from crossdock.errors import Denied, Refused
from crossdock.model import Tools
from crossdock.protocol.dispatch import Dispatcher
from crossdock.protocol.replay import Streams
from crossdock.protocol.resumption import Resumption
from crossdock.protocol.sessions import Sessions
from crossdock.protocol.subscriptions import Listeners
from crossdock.web.keepalive import Keepalive
from crossdock.web.origins import Origins

settings: web.AppKey[Settings] = web.AppKey("settings", Settings)
gate: web.AppKey[Gate] = web.AppKey("gate", Gate)
deny: web.AppKey[Callable[[str, Denied, Address | None], Refused]] = web.AppKey("deny")
"""Writes a denial at a door down and returns what is told."""
draining: web.AppKey[Callable[[], bool]] = web.AppKey("draining")
"""Whether this process is about to end: connections are closed behind their answers."""
dispatcher: web.AppKey[Dispatcher] = web.AppKey("dispatcher", Dispatcher)
sessions: web.AppKey[Sessions] = web.AppKey("sessions", Sessions)
streams: web.AppKey[Streams] = web.AppKey("streams", Streams)
resumption: web.AppKey[Resumption] = web.AppKey("resumption", Resumption)
bus: web.AppKey[Bus] = web.AppKey("bus")
listeners: web.AppKey[Listeners] = web.AppKey("listeners", Listeners)
tools: web.AppKey[Tools] = web.AppKey("tools")
origins: web.AppKey[Origins] = web.AppKey("origins", Origins)
keepalive: web.AppKey[Keepalive] = web.AppKey("keepalive", Keepalive)
outlives: web.RequestKey[bool] = web.RequestKey("outlives", bool)
"""Whether a request's work goes on when its connection breaks: the answer can be fetched."""
outliving: web.AppKey[set[asyncio.Task[None]]] = web.AppKey("outliving")
"""The tasks of such requests: asyncio itself holds tasks but weakly."""
afterwards: web.RequestKey[list[Callable[[], None]]] = web.RequestKey("afterwards")
"""What is to be called when the answer was written, or nobody takes it any more."""
request_id: web.RequestKey[str] = web.RequestKey("request_id", str)
usual: web.RequestKey[bool] = web.RequestKey("usual", bool)
"""Whether a request has the shape that nearly all have, and takes the short way of `front.py`."""
