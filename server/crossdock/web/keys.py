"""Typed keys of what the application holds; views find their collaborators by them."""

from __future__ import annotations

from aiohttp import web

from crossdock.access.gate import Gate
from crossdock.config import Settings
from crossdock.protocol.dispatch import Dispatcher
from crossdock.web.origins import Origins

settings: web.AppKey[Settings] = web.AppKey("settings", Settings)
gate: web.AppKey[Gate] = web.AppKey("gate", Gate)
dispatcher: web.AppKey[Dispatcher] = web.AppKey("dispatcher", Dispatcher)
origins: web.AppKey[Origins] = web.AppKey("origins", Origins)
request_id: web.RequestKey[str] = web.RequestKey("request_id", str)
