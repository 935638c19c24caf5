"""GET /mcp/{token} in a browser: what the server is, and how each client is set up with it.

The page holds no secret but the URL it is opened at. Nothing of it may be kept, framed, indexed or
passed on in a Referer, it runs no script but its own, and it works without that one too.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC
from html import escape
from string import Template

from aiohttp import web

from crossdock import __version__
from crossdock.authoring import Effect, Tool
from crossdock.client.setups import TOKEN_PLACE, Setup, Snippet, Target, is_local, setups, slug
from crossdock.errors import Refused
from crossdock.model import Grant
from crossdock.web import app_keys
from crossdock.web.accept import wanted_kinds
from crossdock.web.admission import admit
from crossdock.web.bundles import ASSETS, Bundle, mcp_bundle, npm_tarball
from crossdock.web.replies import refusal_headers

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_EFFECTS: tuple[tuple[Effect, str, str], ...] = (
    ("read", "Read", "looks things up"),
    ("write", "Write", "creates or changes"),
    ("destructive", "Destructive", "can delete or overwrite"),
)
_KEY = (
    "The address of this page is the key. Whoever has it can use these tools, so pass it on like a "
    "password, and have it revoked if it gets into the wrong hands."
)
_TITLES = {
    401: "An API token is missing",
    403: "This link does not work",
    410: "This link has expired",
    429: "Too many attempts",
}


def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8").strip()


_STYLE, _SCRIPT = _asset("connect.css"), _asset("connect.js")
_SHELL = Template(_asset("connect.html") + "\n")


def _hashed(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        f"default-src 'none'; style-src {_hashed(_STYLE)}; script-src {_hashed(_SCRIPT)}; "
        "img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
}


def add_routes(router: web.UrlDispatcher) -> None:
    """Route the bridge's files; the page itself shares its path with the protocol."""
    router.add_get("/connect.tgz", tarball)
    router.add_get("/connect.mcpb", bundle)


def wants_page(request: web.Request) -> bool:
    """Whether a person asks: a browser says text/html, and no MCP client does."""
    return "text/html" in wanted_kinds(request.headers.get("Accept", "")) and not {
        "MCP-Protocol-Version",
        "Mcp-Session-Id",
    } & set(request.headers)


def in_browsers(otherwise: Handler) -> Handler:
    """Return a handler that shows people the page, and leaves clients to `otherwise`."""

    async def get(request: web.Request) -> web.StreamResponse:
        return await (page if wants_page(request) else otherwise)(request)

    return get


async def page(request: web.Request) -> web.StreamResponse:
    """Show how to connect, or why not."""
    token = request.match_info.get("token")
    name, shown = "crossdock", ""
    told: Mapping[str, str] = {}
    try:
        grant = admit(request)
    except Refused as refused:
        if refused.status != 401 or token is None:
            return _refusal(refused)  # else the URL is good, and the way to connect can be shown
        title, facts, refusal = _TITLES[401], str(refused), refused.status
        told = refusal_headers(refused)
    else:
        title, facts, refusal = grant.name, _facts(grant), 200
        tools = request.app[app_keys.tools].list(grant).tools
        facts = f"MCP server · {len(tools)} tools · {facts}"
        name, shown = slug(grant.name), _tools(tools)
    origin = request.app[app_keys.origins].public_url(request)
    target = Target(
        url=f"{origin}/mcp/{token}",
        name=name,
        second_factor=refusal == 401,
        integrity=npm_tarball().integrity,
    )
    content = [
        f'<p class="maker">crossdock {escape(__version__)}</p>',
        f"<h1>{escape(title)}</h1>",
        f'<p class="facts">{escape(facts)}</p>',
        _notes(target),
        f'<div class="sheets"><section class="sheet"><h2>Connect</h2>{_setups(target)}</section>',
        f"{shown}</div>",
    ]
    return _page(title, "\n".join(content), refusal, told)


async def tarball(request: web.Request) -> web.StreamResponse:
    """GET /connect.tgz: the bridge for `npx -y`."""
    return _file(request, npm_tarball())


async def bundle(request: web.Request) -> web.StreamResponse:
    """GET /connect.mcpb: the bridge for Claude Desktop."""
    return _file(request, mcp_bundle())


def _file(request: web.Request, bundle: Bundle) -> web.Response:
    headers = {
        "Cache-Control": "no-cache",
        "Content-Disposition": f'attachment; filename="{bundle.name}"',
        "X-Content-Type-Options": "nosniff",
        "Repr-Digest": f"sha-512=:{bundle.digest}:",
    }
    known = request.if_none_match or ()
    if any(tag.value in ("*", bundle.tag) for tag in known):
        response = web.Response(status=304, headers=headers)
    else:
        response = web.Response(body=bundle.content, headers=headers, content_type=bundle.kind)
    response.etag = bundle.tag
    return response


# --- HTML ------------------------------------------------------------------------------------


def _page(title: str, content: str, status: int, told: Mapping[str, str]) -> web.Response:
    text = _SHELL.substitute(title=escape(title), style=_STYLE, script=_SCRIPT, content=content)
    return web.Response(
        text=text, status=status, headers={**_HEADERS, **told}, content_type="text/html"
    )


def _refusal(refused: Refused) -> web.Response:
    title = _TITLES.get(refused.status, "This did not work")
    content = (
        f'<section class="sheet refusal"><p class="maker">crossdock</p><h1>{escape(title)}</h1>'
        f"<p>{escape(str(refused))}</p></section>"
    )
    return _page(title, content, refused.status, refusal_headers(refused))


def _facts(grant: Grant) -> str:
    if grant.expires_at is None:
        return "does not expire"
    moment = grant.expires_at.astimezone(UTC)
    return f"valid until {moment.day} {moment:%B %Y, %H:%M} UTC"


def _notes(target: Target) -> str:
    notes = [_KEY]
    if target.second_factor:
        notes.append(
            f"Put the API token that you were given in the place of {TOKEN_PLACE}, or into the "
            "environment as CROSSDOCK_API_TOKEN where that is named."
        )
    return "".join(f'<p class="note">{escape(note)}</p>' for note in notes)


def _setups(target: Target) -> str:
    local = is_local(target.url)
    made = setups(target)
    first = next(setup for setup in made if not (setup.public and local))
    return "\n".join(_setup(setup, local, opened=setup is first) for setup in made)


def _setup(setup: Setup, local: bool, opened: bool) -> str:
    parts = [f"<p>{escape(setup.steps)}</p>"]
    if setup.public and local:
        parts.append(
            '<p class="note">It calls from its maker’s servers, and those cannot reach this '
            "gateway: the address is not public, or not https.</p>"
        )
    parts += [_snippet(snippet) for snippet in setup.snippets]
    if setup.link is not None:
        label, address = setup.link
        parts.append(f'<a class="go" rel="noreferrer" href="{escape(address)}">{escape(label)}</a>')
    return (
        f'<details id="{setup.client}" name="client"{" open" * opened}>'
        f"<summary>{escape(setup.title)}</summary>"
        f'<div class="steps">{"".join(parts)}</div></details>'
    )


def _snippet(snippet: Snippet) -> str:
    where = f'<div class="where"><span>{escape(snippet.where)}</span></div>'
    return f"{where}<pre>{escape(snippet.text)}</pre>"


def _tools(tools: Iterable[Tool]) -> str:
    parts = ['<section class="sheet"><h2>Tools</h2>']
    for effect, title, meaning in _EFFECTS:
        if names := [tool.name for tool in tools if tool.effect == effect]:
            parts.append(
                f'<h3 class="effect"><span class="{effect}">{title}</span> '
                f"<small>{meaning}</small></h3><ul>"
            )
            parts += [f"<li><code>{escape(name)}</code></li>" for name in names]
            parts.append("</ul>")
    return "".join(parts) + "</section>"
