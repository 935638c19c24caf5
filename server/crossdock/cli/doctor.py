"""`crossdock doctor`: one line for each thing that must be right, with the remedy if it is not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import urlsplit

import msgspec
from cyclopts import Parameter

from crossdock.cli import EXIT_CONFIG
from crossdock.cli.opening import missing_store
from crossdock.cli.output import Config, Json, print_json
from crossdock.model import LOOPBACK

if TYPE_CHECKING:
    from pathlib import Path

    from crossdock.config import Settings
    from crossdock.gateway import Gateway
    from crossdock.plugins import Plugins

State = Literal["ok", "warn", "fail"]


class Diagnosis(msgspec.Struct, frozen=True):
    """What was found out about one thing."""

    state: State
    what: str
    message: str


def doctor(
    *,
    offline: Annotated[
        bool, Parameter(negative="", help="Do not ask the providers about the accounts.")
    ] = False,
    config: Config = None,
    json: Json = False,
) -> int:
    """Check configuration, plugins, store, keys, access, providers, and the processes that serve.

    Exits 1 if one fails, 78 if it is the configuration.

    Example: `crossdock doctor --config /etc/crossdock/config.toml`
    """
    findings = asyncio.run(_examine(config, offline=offline))
    if json:
        print_json(findings)
    else:
        for one in findings:
            print(f"{one.state:5} {one.what:24} {one.message}")
    failed = {one.what for one in findings if one.state == "fail"}
    return EXIT_CONFIG if "configuration" in failed else int(bool(failed))


async def _examine(config: Path | None, *, offline: bool) -> list[Diagnosis]:
    from crossdock import log
    from crossdock.cli.nodes import processes
    from crossdock.config import load_settings
    from crossdock.errors import CrossdockError
    from crossdock.gateway import Gateway
    from crossdock.plugins import load_plugins

    log.configure("error")
    try:
        settings = load_settings(config)
    except CrossdockError as error:
        return [Diagnosis("fail", "configuration", str(error))]
    findings = [*_configuration(settings)]
    try:
        plugins = await asyncio.to_thread(load_plugins, settings)
    except CrossdockError as error:
        return [*findings, Diagnosis("fail", "plugins", str(error))]
    findings += _plugins(plugins)
    if (path := missing_store(settings)) is not None:
        text = f"{path} does not exist yet; the first start makes it"
        return [*findings, Diagnosis("warn", "store", text)]
    try:
        gateway = await Gateway.open(settings, plugins=plugins)
    except CrossdockError as error:
        return [*findings, Diagnosis("fail", "store and keys", str(error))]
    try:
        findings += await _store(gateway)
        findings += await processes(gateway)
        findings += await _accounts(gateway, offline=offline)
    finally:
        await gateway.close()
    return findings


def _configuration(settings: Settings) -> list[Diagnosis]:
    path = settings.folder / "config.toml"
    found = [Diagnosis("ok", "configuration", str(path) if path.exists() else "defaults")]
    server = settings.server
    url = urlsplit(server.public_url)
    if server.host not in LOOPBACK and not server.public_url:
        found.append(
            Diagnosis(
                "warn",
                "server.public_url",
                f"is not set, and the gateway listens on {server.host}: URLs are handed out with "
                "the Host of each request. Set it to the https origin that clients use",
            )
        )
    elif url.scheme == "http" and url.hostname not in LOOPBACK:
        found.append(
            Diagnosis(
                "warn",
                "server.public_url",
                "is not https: whoever listens on the way can use the MCP URLs. "
                "Put a proxy with TLS in front",
            )
        )
    return found


def _plugins(plugins: Plugins) -> list[Diagnosis]:
    found = [
        Diagnosis("fail", f"plugin {record.name}", record.error)
        for record in plugins.records()
        if record.error
    ]
    names = ", ".join(sorted(plugins.adapters))
    if names:
        found.insert(0, Diagnosis("ok", "adapters", names))
    else:
        text = "none is loaded; install one, as crossdock-malomo, or put one into plugins/"
        found.insert(0, Diagnosis("fail", "adapters", text))
    return found


async def _store(gateway: Gateway) -> list[Diagnosis]:
    from crossdock.errors import StoreError

    store = gateway.store
    try:
        await store.check()
    except StoreError as error:
        return [Diagnosis("fail", "store", str(error))]
    keys = await store.keys.list()
    master = gateway.settings.secrets.key
    found = [
        Diagnosis("ok", "store", store.where),
        Diagnosis("ok", "keys", f"{len(keys)} keys, opened with {master}"),
    ]
    if any(key.status == "retiring" for key in keys):
        text = "a rotation was interrupted; run `crossdock keys rotate` to end it"
        found.append(Diagnosis("warn", "keys", text))
    found += _admin_token(gateway)
    tokens = (await store.load_grants()).api_tokens
    if not gateway.settings.admin.token and not any(t.role == "owner" for t in tokens):
        found.append(
            Diagnosis(
                "warn",
                "admin API",
                "nobody can use it; run `crossdock token create --name me --role owner`",
            )
        )
    else:
        found.append(Diagnosis("ok", "admin API", f"{len(tokens)} API tokens in the store"))
    return found


def _admin_token(gateway: Gateway) -> list[Diagnosis]:
    from crossdock.config import check_admin_token
    from crossdock.errors import ConfigError
    from crossdock.secrets import resolve_secret

    reference = gateway.settings.admin.token
    if not reference:
        return []
    try:
        found = resolve_secret(reference, "[admin] token", gateway.plugins.resolve_secret)
        check_admin_token(found.reveal())
    except ConfigError as error:
        return [Diagnosis("fail", "admin.token", str(error))]
    return [Diagnosis("ok", "admin.token", reference)]


async def _accounts(gateway: Gateway, *, offline: bool) -> list[Diagnosis]:
    from crossdock.cli.opening import every

    shown = await every(gateway.control.accounts.page)
    if not shown:
        text = "there is none; `crossdock account add --help` tells how to make one"
        return [Diagnosis("warn", "accounts", text)]
    found = []
    for one in shown:
        if one.problem:
            found.append(Diagnosis("fail", one.id, one.problem))
        elif offline:
            found.append(Diagnosis("ok", one.id, f"{one.integration}, not asked"))
        else:
            found.append(await _ask(gateway, one.id, one.integration))
    return found


async def _ask(gateway: Gateway, account_id: str, integration: str) -> Diagnosis:
    from crossdock.cli.opening import operator
    from crossdock.errors import Rejected

    try:
        answer = await gateway.control.accounts.verify(account_id, operator())
    except Rejected as error:
        return Diagnosis("warn", account_id, str(error))
    if answer.ok:
        return Diagnosis("ok", account_id, f"{integration} takes its credentials")
    remedy = ""
    if answer.kind == "unauthenticated":
        remedy = f" Run `crossdock account update {account_id} --credential …`."
    return Diagnosis("fail", account_id, f"{answer.kind}: {answer.message}{remedy}")
