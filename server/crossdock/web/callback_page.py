"""GET /connect/callback: where a provider sends a person back who connected an account."""

from __future__ import annotations

from html import escape

from aiohttp import web

from crossdock.access.gate import Caller
from crossdock.control import CALLBACK
from crossdock.errors import Rejected
from crossdock.web import app_keys
from crossdock.web.admin.routes import control_key

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
}
_PAGE = (
    '<!doctype html>\n<html lang="en"><meta charset="utf-8">'
    "<title>{title} · crossdock</title>\n<h1>{title}</h1>\n<p>{text}</p></html>\n"
)


def add_routes(router: web.UrlDispatcher) -> None:
    """Route the page."""
    router.add_get(CALLBACK, callback, allow_head=False)


async def callback(request: web.Request) -> web.Response:
    """Take the code; whatever comes of it is told to a person, and nothing of it is repeated."""
    gate = request.app[app_keys.gate]
    address = request.app[app_keys.origins].client(request)

    def holder(token_id: str) -> Caller | None:
        if token_id == "cli":  # whoever may read the store and its key is an owner
            return Caller(id="cli", name="command line", role="owner")
        return gate.holder_of(token_id)

    given = {name: request.query.get(name, "")[:4_096] for name in ("state", "code", "error")}
    try:
        account = await request.app[control_key].connecting.finish(
            given["state"],
            given["code"],
            given["error"],
            holder,
            None if address is None else str(address),
        )
    except Rejected as refused:
        return _shown(refused.status, "Not connected", str(refused))
    return _shown(200, "Connected", f"The account {account} is connected. You can close this page.")


def _shown(status: int, title: str, text: str) -> web.Response:
    body = _PAGE.format(title=escape(title), text=escape(text))
    return web.Response(status=status, text=body, content_type="text/html", headers=_HEADERS)
