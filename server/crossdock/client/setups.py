"""How each client is set up with an MCP URL: files, commands and one-click links.

Used by the connect page and by `crossdock connect --print`. Every text here holds the URL, which is
a secret, so none of them may be logged.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import re
import shlex
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from crossdock import __version__
from crossdock.model import Struct

LONGEST_NAME = 10  # of a server in a client's settings: 64 less mcp____ less the longest tool's
TOKEN_PLACE = "YOUR_API_TOKEN"
_VARIABLE = "CROSSDOCK_API_TOKEN"
_URL_VARIABLE = "CROSSDOCK_URL"
_SEEN = "Terminal (others on this machine can read the URL while the command runs)"


class Snippet(Struct, frozen=True, kw_only=True):
    """Text to copy, and where it goes."""

    where: str
    text: str


class Setup(Struct, frozen=True, kw_only=True):
    """One client: what to do, what to copy, and a link that does it in one click where there is
    one. `public` clients call from their maker's servers, so the gateway must be reachable there.
    """

    client: str
    title: str
    steps: str
    snippets: tuple[Snippet, ...] = ()
    link: tuple[str, str] | None = None
    public: bool = False


class Target(Struct, frozen=True, kw_only=True):
    """What is being connected: the URL, its name in client settings, whether an API token is
    needed besides, and the SHA-512 of the bridge as npm writes it, where that is known."""

    url: str
    name: str = "crossdock"
    second_factor: bool = False
    integrity: str = ""

    @property
    def origin(self) -> str:
        """Return the gateway's own address, where the bridge is to be had."""
        return self.url.partition("/mcp/")[0]


def slug(name: str) -> str:
    """Return a name as settings files can hold it, so short that the names of tools stay within
    what hosts accept when they put `mcp__<server>__` before them."""
    words = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return words[:LONGEST_NAME].rstrip("-") or "crossdock"


def is_local(url: str) -> bool:
    """Whether the URL is of no use to a client that calls from the internet."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "https" or host == "localhost" or "." not in host.strip("."):
        return True
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return False


def setups(target: Target) -> tuple[Setup, ...]:
    """Return the set-up of every client that is known, the most asked for first."""
    return tuple(make(target) for make in _MAKERS)


def setup(client: str, target: Target) -> Setup:
    """Return the set-up of one client. Raises KeyError."""
    return {made.client: made for made in setups(target)}[client]


def _bridge(target: Target) -> dict[str, Any]:
    """Return the settings of a process that bridges to the URL, which stays out of `ps`."""
    env = {_URL_VARIABLE: target.url}
    if target.second_factor:
        env[_VARIABLE] = TOKEN_PLACE
    return {"command": "npx", "args": ["-y", f"{target.origin}/connect.tgz"], "env": env}


def _headers(target: Target, value: str) -> dict[str, Any]:
    return {"headers": {"Authorization": f"Bearer {value}"}} if target.second_factor else {}


def _json(value: Any) -> str:
    return json.dumps(value, indent=2)


def _unable(target: Target, remedy: str) -> str:
    if not target.second_factor:
        return ""
    return f" It cannot send the API token that this server asks for besides its URL: {remedy}"


def _claude(target: Target) -> Setup:
    return Setup(
        client="claude",
        title="Claude",
        public=True,
        steps=(
            "Settings → Connectors → Add custom connector. Give it a name and paste the URL. It "
            "works in the browser, on the desktop and on the phone."
            + _unable(target, "use Claude Desktop with the bridge below.")
        ),
        snippets=(Snippet(where="Remote MCP server URL", text=target.url),),
        link=("Open Claude’s connectors", "https://claude.ai/settings/connectors"),
    )


def _claude_desktop(target: Target) -> Setup:
    return Setup(
        client="claude-desktop",
        title="Claude Desktop",
        steps=(
            "Open the bundle with Claude Desktop and paste the URL when it asks. Or edit "
            "claude_desktop_config.json (Settings → Developer → Edit config) and restart; that way "
            "needs Node.js 18 or newer."
        ),
        snippets=(
            Snippet(where="Paste when the bundle asks", text=target.url),
            Snippet(
                where="claude_desktop_config.json",
                text=_json({"mcpServers": {target.name: _bridge(target)}}),
            ),
        ),
        link=("Get the bundle (.mcpb)", f"{target.origin}/connect.mcpb"),
    )


def _claude_code(target: Target) -> Setup:
    command = ["claude", "mcp", "add", "--transport", "http", target.name, target.url]
    if target.second_factor:
        command += ["--header", f"Authorization: Bearer {TOKEN_PLACE}"]
    server = {"type": "http", "url": "${%s}" % _URL_VARIABLE}
    server |= _headers(target, "${%s}" % _VARIABLE)
    return Setup(
        client="claude-code",
        title="Claude Code",
        steps=(
            "Run the command in a terminal; add --scope user to have it in every project. Or put "
            f"the URL into the environment as {_URL_VARIABLE} and this into .mcp.json: then no "
            "command line, history or shared file holds it."
        ),
        snippets=(
            Snippet(where=".mcp.json", text=_json({"mcpServers": {target.name: server}})),
            Snippet(where=_SEEN, text=shlex.join(command)),
        ),
    )


def _chatgpt(target: Target) -> Setup:
    return Setup(
        client="chatgpt",
        title="ChatGPT",
        public=True,
        steps=(
            "Settings → Apps → Advanced settings → Developer mode, then Create app: paste the URL "
            "and choose “No authentication”."
            + _unable(target, "ask for a server without it, or use another client.")
        ),
        snippets=(Snippet(where="MCP server URL", text=target.url),),
        link=("Open ChatGPT", "https://chatgpt.com/"),
    )


def _cursor(target: Target) -> Setup:
    server = {"url": target.url, **_headers(target, "${env:%s}" % _VARIABLE)}
    config = base64.b64encode(json.dumps(server, separators=(",", ":")).encode()).decode()
    ask = urlencode({"name": target.name, "config": config}, quote_via=quote)
    return Setup(
        client="cursor",
        title="Cursor",
        steps="Click the link, or put this into ~/.cursor/mcp.json.",
        snippets=(
            Snippet(where="~/.cursor/mcp.json", text=_json({"mcpServers": {target.name: server}})),
        ),
        link=("Add to Cursor", f"cursor://anysphere.cursor-deeplink/mcp/install?{ask}"),
    )


def _vscode(target: Target) -> Setup:
    direct = {"name": target.name, "type": "http", "url": target.url}
    link: tuple[str, str] | None = (
        "Add to VS Code",
        "vscode:mcp/install?" + quote(json.dumps(direct, separators=(",", ":")), safe=""),
    )
    inputs = [
        {
            "type": "promptString",
            "id": f"{target.name}-url",
            "description": "MCP URL of the gateway",
            "password": True,
        }
    ]
    server: dict[str, Any] = {"type": "http", "url": "${input:%s-url}" % target.name}
    if target.second_factor:
        link = None  # a link cannot carry a header that is typed in later
        server |= _headers(target, "${input:%s-token}" % target.name)
        inputs.append(
            {**inputs[0], "id": f"{target.name}-token", "description": "API token of the gateway"}
        )
    kept = {"inputs": inputs, "servers": {target.name: server}}
    return Setup(
        client="vscode",
        title="VS Code",
        steps=(
            ("Click the link, or put" if link else "Put")
            + " this into .vscode/mcp.json: VS Code then asks for the URL and keeps it, so that "
            "the file can be shared."
        ),
        snippets=(
            Snippet(where=".vscode/mcp.json", text=_json(kept)),
            Snippet(where="Paste when VS Code asks", text=target.url),
        ),
        link=link,
    )


def _codex(target: Target) -> Setup:
    command = ["codex", "mcp", "add", target.name, "--url", target.url]
    lines = [f"[mcp_servers.{target.name}]", f"url = {json.dumps(target.url)}"]
    if target.second_factor:
        command += ["--bearer-token-env-var", _VARIABLE]
        lines.append(f'bearer_token_env_var = "{_VARIABLE}"')
    return Setup(
        client="codex",
        title="Codex",
        steps="Put the lines into ~/.codex/config.toml, or run the command.",
        snippets=(
            Snippet(where=_SEEN, text=shlex.join(command)),
            Snippet(where="~/.codex/config.toml", text="\n".join(lines)),
        ),
    )


def _gemini(target: Target) -> Setup:
    command = ["gemini", "mcp", "add", "-s", "user", "-t", "http"]
    if target.second_factor:
        command += ["-H", f"Authorization: Bearer {TOKEN_PLACE}"]
    server = {"type": "http", "url": target.url, **_headers(target, TOKEN_PLACE)}
    return Setup(
        client="gemini",
        title="Gemini CLI",
        steps="Put this into ~/.gemini/settings.json, or run the command.",
        snippets=(
            Snippet(where=_SEEN, text=shlex.join([*command, target.name, target.url])),
            Snippet(
                where="~/.gemini/settings.json", text=_json({"mcpServers": {target.name: server}})
            ),
        ),
    )


def _windsurf(target: Target) -> Setup:
    server = {"serverUrl": target.url, **_headers(target, TOKEN_PLACE)}
    return Setup(
        client="windsurf",
        title="Windsurf",
        steps="Put this into ~/.codeium/windsurf/mcp_config.json and refresh the list of servers.",
        snippets=(
            Snippet(
                where="~/.codeium/windsurf/mcp_config.json",
                text=_json({"mcpServers": {target.name: server}}),
            ),
        ),
    )


def _goose(target: Target) -> Setup:
    ask = [
        ("cmd", "npx"),
        ("arg", "-y"),
        ("arg", f"{target.origin}/connect.tgz"),
        ("env", f"{_URL_VARIABLE}=The MCP URL"),
        ("id", target.name),
        ("name", target.name),
        ("description", "MCP server of a crossdock gateway"),
    ]
    if target.second_factor:
        ask.insert(4, ("env", f"{_VARIABLE}=The API token"))
    return Setup(
        client="goose",
        title="Goose",
        steps="Click the link and paste the URL when Goose asks, or add a Streamable HTTP "
        "extension with the URL."
        + (f" Give it the header Authorization: Bearer {TOKEN_PLACE}." * target.second_factor),
        snippets=(Snippet(where="Endpoint", text=target.url),),
        link=("Add to Goose", f"goose://extension?{urlencode(ask, quote_via=quote)}"),
    )


def _anything(target: Target) -> Setup:
    bridge = _bridge(target)
    given = [f"{name}={shlex.quote(value)}" for name, value in bridge["env"].items()]
    words = [*given, shlex.join([bridge["command"], *bridge["args"]])]
    return Setup(
        client="other",
        title="Anything else",
        steps=(
            "A client that takes a URL takes this one (Streamable HTTP, and the older SSE too). "
            "One that only starts programs can start this bridge; it needs Node.js 18 or newer. "
            "The URL goes into its environment: npm writes what stands on the command line into "
            "its logs, and everybody on the machine can read it."
        ),
        snippets=(
            Snippet(where="URL", text=target.url),
            Snippet(where="Program, with its environment", text=" ".join(words)),
            *_pinned(target),
        ),
    )


def _pinned(target: Target) -> tuple[Snippet, ...]:
    """Npx checks no integrity of a URL; `npm ci` does, by a lock."""
    if not target.integrity:
        return ()
    package, bridge = "crossdock-connect", f"{target.origin}/connect.tgz"
    wanted = {"dependencies": {package: bridge}}
    locked = {
        "version": __version__,
        "resolved": bridge,
        "integrity": target.integrity,
        "bin": {package: "connect.mjs"},
    }
    packages = {"": wanted, f"node_modules/{package}": locked}
    lock = {"lockfileVersion": 3, "requires": True, "packages": packages}
    then = f"then `npm ci` takes this bridge and no other, and `npx {package}` starts it"
    return (
        Snippet(where="package.json, to pin the bridge", text=_json(wanted)),
        Snippet(where=f"package-lock.json beside it; {then}", text=_json(lock)),
    )


_MAKERS = (
    _claude,
    _claude_desktop,
    _claude_code,
    _chatgpt,
    _cursor,
    _vscode,
    _codex,
    _gemini,
    _windsurf,
    _goose,
    _anything,
)
