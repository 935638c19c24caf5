"""`crossdock account`: integrated accounts on the configured store. Credentials are never shown."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from cyclopts import App, Parameter

from crossdock.cli.opening import every, operator, with_gateway
from crossdock.cli.options import pairs
from crossdock.cli.output import Config, Json, print_json, print_table

if TYPE_CHECKING:
    from crossdock.adapter.manifest import Manifest
    from crossdock.control.responses import ShownAccount
    from crossdock.gateway import Gateway

account = App(name="account", help="Integrated accounts: customers' connections to providers.")
_Set = Annotated[
    list[str] | None,
    Parameter(
        name="--set",
        negative="",
        help="A setting, as base_url=https://api.example.com. Repeat for more.",
    ),
]
_Credentials = Annotated[
    list[str] | None,
    Parameter(
        name="--credential",
        negative="",
        help="Where a credential is: api_key=env:NAME, api_key=file:PATH, or api_key=- for a line "
        "of standard input. Repeat for more; what is required and not given is asked for.",
    ),
]


@account.command
def add(
    integration: str,
    *,
    name: Annotated[str, Parameter(help="For people, as the customer's name.")],
    set_: _Set = None,
    credential: _Credentials = None,
    config: Config = None,
    json: Json = False,
) -> int:
    """Store an account. Its credentials are sealed and never shown again.

    Example: `crossdock account add malomo --name "Acme" --credential api_key=env:ACME_KEY`
    """
    from crossdock.control import NewAccount

    async def work(gateway: Gateway) -> int:
        adapter = gateway.plugins.adapters.get(integration)
        manifest = adapter.manifest if adapter else None
        new = NewAccount(
            integration=integration,
            name=name,
            settings=_settings(set_, manifest),
            credentials=_credentials(credential, manifest, gateway, ask=True),
        )
        shown = await gateway.control.accounts.create(new, operator())
        if json:
            print_json(shown)
        else:
            print(f"{shown.id}  {shown.name}")
            print(f"Try it: crossdock account test {shown.id}")
            print(f'Then:   crossdock server create {shown.id} --name "My agent" --methods read')
        return 0

    return with_gateway(config, work)


@account.command(name="list")
def list_accounts(*, config: Config = None, json: Json = False) -> int:
    """List all accounts, those of config.toml first.

    Example: `crossdock account list --json`
    """

    async def work(gateway: Gateway) -> int:
        found: list[ShownAccount] = await every(gateway.control.accounts.page)
        if json:
            print_json(found)
            return 0
        rows = [
            (one.id, one.integration, one.name, one.problem or one.status, one.source)
            for one in found
        ]
        print_table(("id", "integration", "name", "status", "from"), rows)
        return 0

    return with_gateway(config, work)


@account.command
def show(account_id: str, *, config: Config = None, json: Json = False) -> int:
    """Show an account: its settings, and which credentials it has.

    Example: `crossdock account show acc_0123456789abcdef0123456789abcdef`
    """

    async def work(gateway: Gateway) -> int:
        _print(await gateway.control.accounts.show(account_id), as_json=json)
        return 0

    return with_gateway(config, work)


@account.command
def update(
    account_id: str,
    *,
    name: Annotated[str | None, Parameter(help="A new name.")] = None,
    set_: _Set = None,
    unset: Annotated[
        list[str] | None,
        Parameter(negative="", help="A setting or credential to take away. Repeat for more."),
    ] = None,
    credential: _Credentials = None,
    config: Config = None,
    json: Json = False,
) -> int:
    """Change an account: what is not named stays.

    Example: `crossdock account update acc_0123… --credential api_key=file:new.key`
    """
    from crossdock.control import AccountChange

    async def work(gateway: Gateway) -> int:
        before = await gateway.control.accounts.show(account_id)
        adapter = gateway.plugins.adapters.get(before.integration)
        manifest = adapter.manifest if adapter else None
        settings: dict[str, Any] = _settings(set_, manifest)
        credentials: dict[str, Any] = _credentials(credential, manifest, gateway, ask=False)
        for field in unset or []:
            (credentials if field in before.credentials else settings)[field] = None
        change = AccountChange(
            name=msgspec.UNSET if name is None else name,
            settings=settings or msgspec.UNSET,
            credentials=credentials or msgspec.UNSET,
        )
        shown = await gateway.control.accounts.change(account_id, change, operator())
        _print(shown, as_json=json)
        return 0

    return with_gateway(config, work)


@account.command
def test(account_id: str, *, config: Config = None, json: Json = False) -> int:
    """Ask the provider whether the account's credentials are good. Exits 1 if not.

    Example: `crossdock account test acc_0123456789abcdef0123456789abcdef`
    """

    async def work(gateway: Gateway) -> int:
        found = await gateway.control.accounts.verify(account_id, operator())
        if json:
            print_json(found)
        elif found.ok:
            print(f"{account_id} is good")
        else:
            print(f"{account_id}: {found.kind}: {found.message}", file=sys.stderr)
        return int(not found.ok)

    return with_gateway(config, work)


@account.command
def connect(account_id: str, *, config: Config = None, json: Json = False) -> int:
    """Print the URL at which a person lets an account in at its provider, within ten minutes.

    A gateway has to serve at `[server] public_url` meanwhile: the provider sends the person there.

    Example: `crossdock account connect acc_0123456789abcdef0123456789abcdef`
    """

    async def work(gateway: Gateway) -> int:
        server = gateway.settings.server
        origin = server.public_url.rstrip("/") or f"http://{server.host}:{server.port}"
        started = await gateway.control.connecting.start(account_id, origin, operator())
        if json:
            print_json(started)
        else:
            print(started.url)
            print(f"The provider has to know {started.redirect_uri}", file=sys.stderr)
        return 0

    return with_gateway(config, work)


@account.command
def remove(
    account_id: str,
    *,
    cascade: Annotated[
        bool, Parameter(negative="", help="Revoke its MCP servers with it.")
    ] = False,
    config: Config = None,
) -> int:
    """Delete an account and its credentials. Refused while it has MCP servers.

    Example: `crossdock account remove acc_0123456789abcdef0123456789abcdef --cascade`
    """

    async def work(gateway: Gateway) -> int:
        await gateway.control.accounts.remove(account_id, operator(), cascade=cascade)
        print(f"{account_id} is removed")
        return 0

    return with_gateway(config, work)


def _print(shown: ShownAccount, *, as_json: bool) -> None:
    if as_json:
        print_json(shown)
        return
    rows = [
        ("id", shown.id),
        ("integration", shown.integration),
        ("name", shown.name),
        ("status", shown.problem or shown.status),
        ("from", shown.source),
        *((f"settings.{name}", value) for name, value in shown.settings.items()),
        *(
            (f"credentials.{name}", f"set, ends with {one.last4 or '…'}" if one.set else "not set")
            for name, one in shown.credentials.items()
        ),
        ("created", shown.created_at or ""),
        ("updated", shown.updated_at or ""),
    ]
    print_table(("field", "value"), rows)


def _settings(given: list[str] | None, manifest: Manifest | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, text in pairs(given, "--set").items():
        spec = manifest.settings.get(name) if manifest else None
        if spec is None or spec.type == "string":
            found[name] = text
            continue
        try:
            found[name] = msgspec.json.decode(text)
        except msgspec.DecodeError:
            found[name] = text  # the check that follows names the type
    return found


def _credentials(
    given: list[str] | None, manifest: Manifest | None, gateway: Gateway, *, ask: bool
) -> dict[str, Any]:
    declared = manifest.credentials if manifest else {}
    found: dict[str, Any] = {}
    for name, text in pairs(given, "--credential").items():
        spec = declared.get(name)
        open_value = spec is not None and not spec.secret
        found[name] = _secret(name, text, gateway, may_be_literal=open_value)
    for name, spec in declared.items():
        if ask and spec.required and name not in found:
            found[name] = _asked(name, spec.about, hidden=spec.secret)
    return found


def _secret(name: str, text: str, gateway: Gateway, *, may_be_literal: bool) -> str:
    from pathlib import Path

    from crossdock.errors import CrossdockError
    from crossdock.secrets import parse_reference, resolve_secret

    if text == "-":
        return sys.stdin.readline().rstrip("\r\n")
    reference = parse_reference(text)
    if reference is None:
        if may_be_literal:
            return text
        raise CrossdockError(
            f"--credential {name}: a secret does not belong on the command line, where others can "
            f"see it. Write {name}=env:NAME, {name}=file:PATH or {name}=- for standard input."
        )
    if reference.scheme == "file":
        text = f"file:{Path(reference.reference).absolute()}"
    return resolve_secret(text, f"--credential {name}", gateway.plugins.resolve_secret).reveal()


def _asked(name: str, about: str, *, hidden: bool) -> str:
    from getpass import getpass

    from crossdock.errors import CrossdockError

    if not sys.stdin.isatty():
        raise CrossdockError(
            f"credentials.{name} is missing: {about} "
            f"Give --credential {name}=env:NAME, {name}=file:PATH or {name}=-."
        )
    print(about, file=sys.stderr)
    return getpass(f"{name}: ") if hidden else input(f"{name}: ")
