"""The page that a person sees who opens an MCP URL in a browser, and the files it offers."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import tarfile
import zipfile
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from clients import environments
from harness import browser, malomo, stdio
from harness.malomo import Malomo
from harness.running import Clock, MakeGateway, Running, Server

from crossdock import __version__
from crossdock.access.tokens import mint
from crossdock.client.setups import Target, setups
from crossdock.web.bundles import mcp_bundle, npm_tarball

pytestmark = pytest.mark.e2e
CLIENTS = tuple(one.client for one in setups(Target(url="https://gw.example/mcp/x")))
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
NASTY = "</title><script>alert(1)</script>\"'&<b onclick=x> ${jndi}"


class Page(HTMLParser):
    """A page in pieces."""

    def __init__(self, status: int, headers: Any, text: str) -> None:
        super().__init__()
        self.status, self.headers, self.source = status, headers, text
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "br"):
            self._open.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        for tag in self._open:
            self.texts[tag][-1] += data

    @property
    def text(self) -> str:
        return self.texts["main"][0]

    @property
    def links(self) -> list[str]:
        return [str(attributes["href"]) for tag, attributes in self.tags if tag == "a"]


async def opened(running: Running, path: str, headers: Any = BROWSER) -> Page:
    """Open a path as a browser does."""
    async with running.http.get(running.url + path, headers=headers) as reply:
        assert reply.content_type == "text/html", await reply.text()
        return Page(reply.status, reply.headers.copy(), await reply.text())


@pytest.fixture
async def page(malomo: Malomo) -> Page:
    """The page of a server that may do everything."""
    return await opened(malomo.running, f"/mcp/{malomo.server.token}")


# --- what it shows ---------------------------------------------------------------------------


@pytest.mark.requirement("clients:connect-page:shown")
async def test_a_browser_sees_name_tools_with_their_effect_and_expiry(malomo: Malomo) -> None:
    until = datetime(2031, 1, 2, 3, 4, tzinfo=UTC)
    server = await malomo.running.server(name="Dispatch agent", expires_at=until)
    page = await opened(malomo.running, f"/mcp/{server.token}")
    assert page.texts["h1"] == ["Dispatch agent"]
    assert "21 tools" in page.text
    assert "valid until 2 January 2031, 03:04 UTC" in page.text
    shown = page.texts["code"]
    assert sorted(shown) == sorted(await server.names())
    by_effect = dict(
        zip([head.split()[0] for head in page.texts["h3"]], page.texts["ul"], strict=True)
    )
    assert "list_all_malomo_orders" in by_effect["Read"]
    assert "create_a_malomo_webhook" in by_effect["Write"]
    assert "delete_a_malomo_order_by_id" in by_effect["Destructive"]


@pytest.mark.requirement("clients:connect-page:shown")
async def test_only_the_tools_of_the_server_are_shown(malomo: Malomo) -> None:
    server = await malomo.running.server(methods=["read"], tags=["orders"])
    page = await opened(malomo.running, f"/mcp/{server.token}/")
    assert sorted(page.texts["code"]) == sorted(await server.names())
    assert "delete_" not in page.source
    assert "does not expire" in page.text


@pytest.mark.requirement("clients:connect-page:shown")
async def test_every_client_has_its_set_up_with_this_url(malomo: Malomo, page: Page) -> None:
    url = f"{malomo.running.url}/mcp/{malomo.server.token}"
    shown = [attributes["id"] for tag, attributes in page.tags if tag == "details"]
    assert tuple(shown) == CLIENTS
    for titled in ("Claude", "Claude Code", "ChatGPT", "Cursor", "VS Code", "Codex", "Windsurf"):
        assert titled in page.texts["summary"]
    snippets = page.texts["pre"]
    assert f"claude mcp add --transport http agent {url}" in snippets
    assert f'[mcp_servers.agent]\nurl = "{url}"' in snippets
    files = [json.loads(text) for text in snippets if text.startswith("{")]
    origin = malomo.running.url
    bridge = {
        "command": "npx",
        "args": ["-y", f"{origin}/connect.tgz"],
        "env": {"CROSSDOCK_URL": url},
    }
    assert {"mcpServers": {"agent": bridge}} in files
    assert {"mcpServers": {"agent": {"url": url}}} in files
    assert {"mcpServers": {"agent": {"serverUrl": url}}} in files
    assert {"mcpServers": {"agent": {"type": "http", "url": url}}} in files


@pytest.mark.requirement("clients:connect-page:shown")
async def test_one_click_links_hold_what_the_clients_expect(malomo: Malomo, page: Page) -> None:
    url = f"{malomo.running.url}/mcp/{malomo.server.token}"
    by_scheme = {urlsplit(link).scheme: link for link in page.links}
    cursor = parse_qs(urlsplit(by_scheme["cursor"]).query)
    assert cursor["name"] == ["agent"]
    assert json.loads(base64.b64decode(cursor["config"][0])) == {"url": url}
    vscode = by_scheme["vscode"].removeprefix("vscode:mcp/install?")
    assert json.loads(unquote(vscode)) == {"name": "agent", "type": "http", "url": url}
    goose = parse_qs(urlsplit(by_scheme["goose"]).query)
    assert goose["arg"] == ["-y", f"{malomo.running.url}/connect.tgz"]
    assert goose["env"] == ["CROSSDOCK_URL=The MCP URL"]  # Goose asks for it
    assert f"{malomo.running.url}/connect.mcpb" in page.links


@pytest.mark.requirement("clients:connect-page:shown")
async def test_public_url_is_what_the_snippets_name(gateway: MakeGateway, shop: str) -> None:
    running = await gateway(
        accounts={"shop": malomo.account(shop)},
        settings={
            "server": {"public_url": "https://gw.example.com", "allowed_hosts": ["127.0.0.1"]}
        },
    )
    server = await running.server()
    page = await opened(running, f"/mcp/{server.token}")
    assert f"https://gw.example.com/mcp/{server.token}" in page.texts["pre"]
    assert running.url not in page.source
    assert "cannot reach" not in page.text
    private = await opened(await gateway(accounts={"shop": malomo.account(shop)}), "/mcp/x")
    assert private.status == 403


@pytest.mark.requirement("clients:connect-page:shown")
async def test_who_cannot_reach_a_private_address_is_said(page: Page) -> None:
    assert page.text.count("cannot reach this gateway") == 2
    opened_first = [attributes for tag, attributes in page.tags if "open" in attributes]
    assert [attributes["id"] for attributes in opened_first] == ["claude-desktop"]


# --- what it keeps to itself -----------------------------------------------------------------


@pytest.mark.requirement("clients:connect-page:safe")
async def test_a_servers_name_is_text_whatever_it_holds(malomo: Malomo) -> None:
    server = await malomo.running.server(name=NASTY)
    page = await opened(malomo.running, f"/mcp/{server.token}")
    assert page.texts["h1"] == [NASTY]
    assert page.texts["title"] == [NASTY]
    assert [tag for tag, _ in page.tags].count("script") == 1


@pytest.mark.requirement("clients:connect-page:safe")
async def test_the_page_can_be_neither_kept_nor_framed_nor_indexed_nor_passed_on(
    page: Page,
) -> None:
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert page.headers["X-Frame-Options"] == "DENY"
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert "noindex" in page.headers["X-Robots-Tag"]
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    for tag in ("script", "style"):
        assert len(page.texts[tag]) == 1
        digest = base64.b64encode(hashlib.sha256(page.texts[tag][0].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        assert "src" not in attributes
        assert tag not in ("form", "iframe", "img", "object", "embed", "base")


@pytest.mark.requirement("clients:connect-page:safe")
async def test_the_page_holds_no_secret_but_the_url(malomo: Malomo, page: Page) -> None:
    source = page.source.replace(malomo.server.token, "")
    assert not re.search(r"cd[ma]_\w{20,}", source)
    assert malomo.running.admin_token not in source
    assert "sk_sandbox" not in source
    assert malomo.base_url not in source
    assert malomo.server.id not in source


@pytest.mark.requirement("clients:connect-page:safe")
async def test_programs_never_get_the_page(malomo: Malomo) -> None:
    for accept in ("*/*", "text/event-stream", "application/json, text/event-stream", "text/*"):
        headers = {"Accept": accept, "MCP-Protocol-Version": "2026-07-28"}
        answer = await malomo.server.request("GET", malomo.server.url, headers=headers)
        assert answer.status == 405
    headers = {**BROWSER, "MCP-Protocol-Version": "2026-07-28"}
    assert (await malomo.server.request("GET", malomo.server.url, headers=headers)).status == 405


# --- refusals --------------------------------------------------------------------------------


@pytest.mark.requirement("clients:connect-page:shown")
async def test_a_link_that_does_not_work_says_so_and_says_nothing_else(malomo: Malomo) -> None:
    revoked = await malomo.running.server(name="Was mine")
    await malomo.running.request("DELETE", f"/integrated-account/shop/mcp/{revoked.id}")
    unknown = mint("mcp")
    pages = [
        await opened(malomo.running, f"/mcp/{token}")
        for token in (revoked.token, unknown, f"{unknown}x", "%3Cscript%3E")
    ]
    for page in pages:
        assert page.status == 403
        assert page.texts["h1"] == ["This link does not work"]
        assert "Ask whoever runs this gateway" in page.text
        assert page.source == pages[0].source
        assert page.headers["Cache-Control"] == "no-store"


@pytest.mark.requirement("clients:connect-page:shown")
async def test_an_expired_link_says_when(gateway: MakeGateway, shop: str, clock: Clock) -> None:
    running = await gateway(accounts={"shop": malomo.account(shop)}, clock=clock)
    server = await running.server(expires_at=clock.now + timedelta(hours=1))
    path = f"/mcp/{server.token}"
    assert (await opened(running, path)).status == 200
    clock.advance(hours=1)
    page = await opened(running, path)
    assert page.status == 410
    assert page.texts["h1"] == ["This link has expired"]
    assert "2026-11-21" in page.text


@pytest.mark.requirement("clients:connect-page:safe")
async def test_without_the_second_factor_only_the_way_to_give_it_is_shown(
    malomo: Malomo,
) -> None:
    server = await malomo.running.server(name="Not for all", require_api_token_auth=True)
    page = await opened(malomo.running, f"/mcp/{server.token}")
    assert page.status == 401
    assert page.headers["WWW-Authenticate"] == "Bearer"
    assert page.texts["h1"] == ["An API token is missing"]
    assert "Not for all" not in page.source
    assert "malomo_orders" not in page.source
    assert "Authorization: Bearer YOUR_API_TOKEN" in page.text
    assert [link for link in page.links if link.startswith("vscode:")] == []
    headers = {**BROWSER, "X-Api-Token": await malomo.running.api_token()}
    known = await opened(malomo.running, f"/mcp/{server.token}", headers)
    assert (known.status, known.texts["h1"]) == (200, ["Not for all"])


@pytest.mark.requirement("clients:connect-page:shown")
async def test_without_a_token_the_page_asks_for_the_whole_url(malomo: Malomo) -> None:
    page = await opened(malomo.running, "/mcp")
    assert page.status == 401
    assert "use the full MCP URL" in page.text


# --- in a browser ----------------------------------------------------------------------------


@pytest.mark.requirement("clients:connect-page:shown", "clients:connect-page:safe")
async def test_in_chromium_it_is_whole_quiet_and_copies(malomo: Malomo, tmp_path: Path) -> None:
    server: Server = await malomo.running.server(name=NASTY)
    async with browser.started(tmp_path / "profile", malomo.running.http) as tab:
        await tab.open(server.url)
        assert tab.complaints == []
        assert [url for url in tab.requested if not url.startswith("data:")] == [server.url]
        assert await tab.find("document.querySelector('h1').textContent") == NASTY
        assert await tab.find("document.querySelectorAll('button').length") == await tab.find(
            "document.querySelectorAll('pre').length"
        )
        assert await tab.find("document.documentElement.scrollWidth <= innerWidth")
        light, dark = await tab.picture("light"), await tab.picture("dark")
        assert light != dark
        assert min(len(light), len(dark)) > 20_000
        granted = ["clipboardReadWrite", "clipboardSanitizedWrite"]
        await tab.tell("Browser.grantPermissions", permissions=granted)
        await tab.tell("Emulation.setFocusEmulationEnabled", enabled=True)
        copied = await tab.find(
            "new Promise(done => { const button = document.querySelector('#claude-desktop button');"
            "button.click(); setTimeout(() => done(button.textContent), 300); })"
        )
        assert copied == "Copied"
        assert await tab.find("navigator.clipboard.readText()") == server.url
        assert tab.complaints == []


@pytest.mark.requirement("clients:connect-page:shown")
async def test_in_chromium_it_works_without_scripts_and_on_a_phone(
    malomo: Malomo, tmp_path: Path
) -> None:
    async with browser.started(tmp_path / "profile", malomo.running.http) as tab:
        await tab.tell("Emulation.setScriptExecutionDisabled", value=True)
        phone = {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
        await tab.tell("Emulation.setDeviceMetricsOverride", **phone)
        await tab.open(malomo.server.url)
        assert tab.complaints == []
        layout = await tab.tell("Page.getLayoutMetrics")
        assert layout["cssContentSize"]["width"] <= 360
        document = await tab.tell("DOM.getDocument")
        found = await tab.tell(
            "DOM.querySelectorAll", nodeId=document["root"]["nodeId"], selector="pre"
        )
        assert len(found["nodeIds"]) > len(CLIENTS)


# --- the files it offers ---------------------------------------------------------------------


@pytest.mark.requirement("clients:stdio:npx")
async def test_npx_runs_the_bridge_straight_from_the_gateway(
    malomo: Malomo, tmp_path: Path
) -> None:
    node = environments.node()
    npx = node.parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npx-cli.js"
    quiet = {"npm_config_update_notifier": "false", "npm_config_cache": str(tmp_path / "cache")}
    nowhere = {"npm_config_registry": "http://127.0.0.1:9/", "HOME": str(tmp_path)}
    environment = {
        **quiet,
        **nowhere,
        "PATH": f"{node.parent}:/usr/bin:/bin",
        "CROSSDOCK_URL": malomo.server.url,
    }
    command = [str(node), str(npx), "-y", f"{malomo.running.url}/connect.tgz"]
    async with stdio.started(command, environment, secret=malomo.server.token) as host:
        await host.greet()
        listed = await host.request("tools/list")
        assert len(listed["tools"]) == 21
        assert await host.end() == 0
    async with stdio.started([*command, malomo.server.url], environment) as host:
        assert "resultType" in await host.request("server/discover", modern=True)


@pytest.mark.requirement("clients:stdio:npx")
async def test_the_bundle_for_claude_desktop_asks_for_the_url_and_runs_with_it(
    malomo: Malomo, tmp_path: Path
) -> None:
    async with malomo.running.http.get(f"{malomo.running.url}/connect.mcpb") as reply:
        assert 'filename="connect.mcpb"' in reply.headers["Content-Disposition"]
        content = await reply.read()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(tmp_path)
        manifest = json.loads(archive.read("manifest.json"))
    assert manifest["manifest_version"] == "0.3"
    assert manifest["server"]["type"] == "node"
    assert (tmp_path / manifest["server"]["entry_point"]).is_file()
    asked = manifest["user_config"]["url"]
    assert (asked["type"], asked["sensitive"], asked["required"]) == ("string", True, True)

    def filled(text: str) -> str:
        text = text.replace("${__dirname}", str(tmp_path))
        return text.replace("${user_config.url}", malomo.server.url)

    start = manifest["server"]["mcp_config"]
    assert "${user_config" not in json.dumps(start["args"])
    command = [str(environments.node()), *map(filled, start["args"])]
    environment = {name: filled(text) for name, text in start["env"].items()}
    async with stdio.started(command, environment, secret=malomo.server.token) as host:
        await host.greet()
        assert len((await host.request("tools/list"))["tools"]) == 21


@pytest.mark.requirement("clients:stdio:npx")
async def test_the_files_are_the_same_for_everyone_and_every_time(malomo: Malomo) -> None:
    for name, build in (("connect.tgz", npm_tarball), ("connect.mcpb", mcp_bundle)):
        async with malomo.running.http.get(f"{malomo.running.url}/{name}") as reply:
            assert reply.status == 200
            content, tag = await reply.read(), reply.headers["ETag"]
        assert content == build.__wrapped__().content
        assert b"cdm_" not in content
        known = {"If-None-Match": tag}
        async with malomo.running.http.get(f"{malomo.running.url}/{name}", headers=known) as reply:
            assert reply.status == 304
    with tarfile.open(fileobj=io.BytesIO(npm_tarball().content)) as archive:
        package = archive.extractfile("package/package.json")
        assert package is not None
        described = json.load(package)
        texts = [archive.extractfile(entry).read() for entry in archive if entry.isfile()]  # type: ignore[union-attr]
    assert described["version"] == __version__
    assert "dependencies" not in described
    assert not any(b"@version@" in text for text in texts)
