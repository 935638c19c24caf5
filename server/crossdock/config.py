"""config.toml → Settings. Unknown keys are refused by name, literal secrets with the remedy.

Nothing is read from the environment except through `env:` references.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import parse_qs, urlsplit

import msgspec

from crossdock.errors import ConfigError, Misfit
from crossdock.secrets import parse_reference

Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Count = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of the sections of config.toml."""


class ServerSettings(Section, frozen=True, kw_only=True):
    """[server]: where to listen and which hosts and pages may speak."""

    host: str = "127.0.0.1"
    port: Port = 8787
    public_url: str = ""
    allowed_hosts: list[str] = []
    allowed_origins: list[str] = []
    trusted_proxies: list[str] = []
    workers: Count = 1
    node: str = ""


class AdminSettings(Section, frozen=True, kw_only=True):
    """[admin]: an owner token besides those in the store."""

    token: str = ""


class StoreSettings(Section, frozen=True, kw_only=True):
    """[store]: where servers and accounts are kept."""

    url: str = "sqlite:///state/crossdock.db"


class BusSettings(Section, frozen=True, kw_only=True):
    """[bus]: messages between processes."""

    url: str = ""
    password: str = ""


class SecretsSettings(Section, frozen=True, kw_only=True):
    """[secrets]: the master key."""

    key: str = "file:state/master.key"


class UpstreamSettings(Section, frozen=True, kw_only=True):
    """[upstream]: which private networks a provider may lie in."""

    allow_private: list[str] = []


class LimitSettings(Section, frozen=True, kw_only=True):
    """[limits]: each is enforced, and none is silent."""

    body_bytes: Count = 1024 * 1024
    admin_body_bytes: Count = 256 * 1024
    read_seconds: Seconds = 60.0
    write_seconds: Seconds = 90.0
    lock_wait_seconds: Seconds = 10.0
    locks_at_once: Count = 8
    stale_seconds: Seconds = 120.0
    upstream_connect_seconds: Seconds = 5.0
    upstream_idle_seconds: Seconds = 15.0
    upstream_total_seconds: Seconds = 30.0
    upstream_answer_bytes: Count = 8 * 1024 * 1024
    upstream_connections: Count = 64
    calls_per_server: Count = 64
    calls_per_account: Count = 128
    calls_in_all: Count = 512
    calls_per_adapter: Count = 64
    questions_per_server: Count = 32
    questions_in_all: Count = 256
    answers_bytes_per_server: Count = 64 * 1024 * 1024
    answers_bytes_in_all: Count = 256 * 1024 * 1024
    answer_write_seconds: Seconds = 30.0
    header_seconds: Seconds = 10.0
    connections: Count = 4_096
    keepalive_seconds: Seconds = 75.0
    shutdown_seconds: Seconds = 25.0
    audit_days: Count = 90
    audit_lines: Count = 20_000
    wrong_tokens: Count = 30
    wrong_tokens_in_all: Count = 1_000
    ask_seconds: Seconds = 600.0
    session_seconds: Seconds = 7 * 86_400.0
    quiet_seconds: Seconds = 15.0
    streams_per_server: Count = 64
    streams_in_all: Count = 1_024
    answer_tokens: Annotated[int, msgspec.Meta(ge=500)] = 6_000
    resume_seconds: Seconds = 60.0
    resume_events: Count = 256
    resume_bytes: Count = 16 * 1024 * 1024


class PluginSettings(Section, frozen=True, kw_only=True):
    """[plugins]: what is loaded."""

    folder: str = "plugins"
    disabled: list[str] = []
    only: list[str] = []
    trusted: list[str] = msgspec.field(default_factory=lambda: ["malomo", "roserocket"])
    strict: bool = False


class LogSettings(Section, frozen=True, kw_only=True):
    """[log]."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "console"] = "auto"


class AccountSettings(Section, frozen=True, kw_only=True):
    """[accounts.<id>]: an integrated account kept as a file."""

    integration: str
    name: str = ""
    settings: dict[str, Any] = {}
    credentials: dict[str, str] = {}
    overlay: str = ""


class AdapterSettings(Section, frozen=True, kw_only=True):
    """[adapters.<name>]: what an operator changes of an adapter."""

    overlay: str = ""


class Settings(Section, frozen=True, kw_only=True):
    """config.toml, checked. `folder` is what relative paths count from."""

    server: ServerSettings = ServerSettings()
    admin: AdminSettings = AdminSettings()
    store: StoreSettings = StoreSettings()
    bus: BusSettings = BusSettings()
    secrets: SecretsSettings = SecretsSettings()
    upstream: UpstreamSettings = UpstreamSettings()
    limits: LimitSettings = LimitSettings()
    plugins: PluginSettings = PluginSettings()
    log: LogSettings = LogSettings()
    adapters: dict[str, AdapterSettings] = {}
    accounts: dict[str, AccountSettings] = {}
    folder: Path = Path()


_NAMED: dict[str, type[Section]] = {"adapters": AdapterSettings, "accounts": AccountSettings}


def load_settings(path: Path | None) -> Settings:
    """Read config.toml. Without a path `./config.toml` is read if it is there.

    Raises ConfigError naming the file and the key.
    """
    if path is None:
        path = Path("config.toml")
        if not path.exists():
            return Settings(folder=Path.cwd())
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; leave --config out to run on defaults") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: {error}") from None
    if "folder" in raw:
        raise ConfigError(f"{path}: unknown key `folder`")
    try:
        settings = msgspec.convert(raw, Settings)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {_explain(Misfit(error), raw)}") from None
    settings = _located(settings, path.resolve().parent, str(path))
    check_settings(settings, str(path))
    return settings


def _located(settings: Settings, folder: Path, source: str) -> Settings:
    """Return the settings with the folders of overlays in full. Raises ConfigError."""

    def located(section: str, name: str, table: Any) -> Any:
        if not table.overlay:
            return table
        if not (overlay := folder / table.overlay).is_dir():
            raise ConfigError(f"{source}: {section}.{name}.overlay: {overlay} is no folder")
        return msgspec.structs.replace(table, overlay=str(overlay))

    return msgspec.structs.replace(
        settings,
        folder=folder,
        adapters={name: located("adapters", name, one) for name, one in settings.adapters.items()},
        accounts={name: located("accounts", name, one) for name, one in settings.accounts.items()},
    )


def _explain(misfit: Misfit, raw: dict[str, Any]) -> str:
    where = ".".join(step for step in misfit.steps if not step.startswith("["))
    for section, kind in _NAMED.items():
        if misfit.steps[:2] == (section, "[...]"):
            where = where.replace(section, f"{section}.{_guilty(raw[section], kind)}", 1)
    if key := misfit.unknown:
        near = difflib.get_close_matches(key, _fields(where), 1)
        hint = f"; did you mean `{near[0]}`?" if near else ""
        return f"unknown key `{where + '.' if where else ''}{key}`{hint}"
    return f"`{where}`: {misfit.reason[0].lower()}{misfit.reason[1:]}"


def _guilty(tables: dict[str, Any], kind: type[Section]) -> str:
    for name, table in tables.items():
        try:
            msgspec.convert(table, kind)
        except msgspec.ValidationError:
            return str(name)
    return "<id>"


def _fields(where: str) -> list[str]:
    section = where.partition(".")[0]
    if section in _NAMED:
        return list(_NAMED[section].__struct_fields__)
    if not section:
        return [name for name in Settings.__struct_fields__ if name != "folder"]
    kind = type(getattr(Settings(), section, None))
    return list(getattr(kind, "__struct_fields__", ()))


def check_settings(settings: Settings, source: str) -> None:
    """Refuse what cannot work or must not be. Raises ConfigError."""
    _check_processes(settings, source)
    _reference(source, "admin.token", settings.admin.token, "env:CROSSDOCK_ADMIN_TOKEN")
    _check_bus(source, settings.bus)
    _reference(source, "secrets.key", settings.secrets.key, "file:state/master.key")
    for name, account in settings.accounts.items():
        for field, value in account.credentials.items():
            example = f"env:{name}_{field}".upper().replace("-", "_").replace("ENV:", "env:")
            _reference(source, f"accounts.{name}.credentials.{field}", value, example)
    networks(settings.upstream.allow_private, source, "upstream.allow_private")
    networks(settings.server.trusted_proxies, source, "server.trusted_proxies")
    url = settings.server.public_url
    if url and not re.fullmatch(r"https?://[^/?#\s]+(/[^?#\s]*)?", url):
        raise ConfigError(
            f"{source}: server.public_url must be an origin, as https://gw.example.com"
        )


def _check_processes(settings: Settings, source: str) -> None:
    """Several processes need an engine that orders them, and one that carries their messages."""
    shared = settings.store.url.startswith("postgresql:")
    if settings.bus.url and not shared:
        raise ConfigError(
            f"{source}: bus.url joins several processes, and a SQLite store is served by one; "
            "set store.url to a postgresql:// database, or leave bus.url empty"
        )
    if settings.server.workers == 1:
        return
    if not shared:
        raise ConfigError(
            f"{source}: server.workers = {settings.server.workers}, and a SQLite store is served "
            "by one process; set store.url to a postgresql:// database, or workers to 1"
        )
    if not settings.bus.url:
        raise ConfigError(
            f"{source}: server.workers = {settings.server.workers}, and the processes need a "
            "Redis or Valkey for their messages; set bus.url, as redis://127.0.0.1:6379/0, "
            "or workers to 1"
        )


def _check_bus(source: str, bus: BusSettings) -> None:
    _reference(source, "bus.password", bus.password, "env:CROSSDOCK_BUS_PASSWORD")
    if not bus.url:
        return
    try:
        parts = urlsplit(bus.url)
        sound = parts.scheme in ("redis", "rediss") and parts.hostname and parts.port != 0
    except ValueError:  # no number in the port's place
        sound = False
    if not sound:
        raise ConfigError(
            f"{source}: bus.url must be redis:// or rediss:// with a host, as "
            '"redis://127.0.0.1:6379/0"'
        )
    if parts.password or "password" in parse_qs(parts.query):
        raise ConfigError(
            f"{source}: bus.url holds a password; leave it out there and write "
            'bus.password = "env:CROSSDOCK_BUS_PASSWORD"'
        )


_OWN = frozenset({"host", "port", "workers", "node", "trusted_proxies"})
"""What may differ between the nodes that serve from one store."""


def agreed(settings: Settings) -> bytes:
    """Return what all nodes that serve from one store have to have in common, as bytes."""
    server = msgspec.structs.asdict(settings.server)
    common = {
        **msgspec.structs.asdict(settings),
        "server": {key: value for key, value in server.items() if key not in _OWN},
    }
    for each in ("folder", "store", "bus", "secrets", "log"):
        del common[each]
    return msgspec.json.encode(common, order="sorted")


SHORTEST_ADMIN_TOKEN = 32


def check_admin_token(token: str) -> None:
    """Refuse an `[admin] token` that could be guessed. Raises ConfigError."""
    if len(token) < SHORTEST_ADMIN_TOKEN:
        raise ConfigError(
            f"admin.token leads to a token of {len(token)} characters; it must have "
            f"{SHORTEST_ADMIN_TOKEN} or more: make one with `openssl rand -base64 32`, or leave "
            "admin.token empty and run `crossdock token create --name me --role owner`"
        )


def _reference(source: str, key: str, value: str, example: str) -> None:
    if value and parse_reference(value) is None:
        raise ConfigError(
            f'{source}: {key} holds a literal secret; write a reference, as "{example}", '
            "and keep the secret there"
        )


def networks(
    texts: list[str], source: str, key: str
) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """Parse CIDRs. Raises ConfigError."""
    found = []
    for text in texts:
        try:
            found.append(ipaddress.ip_network(text))
        except ValueError:
            raise ConfigError(
                f'{source}: {key}: {text!r} is not a network, as "10.0.0.0/8"'
            ) from None
    return found
