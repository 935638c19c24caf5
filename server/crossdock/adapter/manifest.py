"""adapter.toml → Structs; errors carry file:line. (long: every key of the file stands here)"""

from __future__ import annotations

import re
import string
import tomllib
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from crossdock.adapter.naming import default_effect, is_identifier, singular_of, tool_name
from crossdock.authoring import Effect, Endpoint, Paging, Receive, Send
from crossdock.errors import AdapterError, Misfit

_VERBS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_HTTP = re.compile(r"(GET|POST|PUT|PATCH|DELETE) (?:([a-z][a-z0-9_]*):)?(/\S*)")
PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]*)\}")
# style: what has to be in `ask` or `tell`, and what may be
_ASKS = {
    "link": ({"cursor"}, set[str]()),
    "offset": ({"offset"}, {"limit"}),
    "page": ({"page"}, {"size"}),
    "cursor": ({"cursor"}, {"limit"}),
    "next_url": (set[str](), {"limit"}),
    "keyset": ({"after"}, {"limit"}),
    "none": (set[str](), set[str]()),
}
_TELLS = {
    "link": (set[str](), set[str]()),
    "offset": (set[str](), {"total", "more"}),
    "page": (set[str](), {"pages", "total", "more"}),
    "cursor": ({"next"}, {"more"}),
    "next_url": ({"next"}, set[str]()),
    "keyset": ({"key"}, {"more"}),
    "none": (set[str](), set[str]()),
}
_KINDS = frozenset(
    [
        "conflict",
        "forbidden",
        "not_found",
        "rate_limited",
        "unauthenticated",
        "upstream_error",
        "upstream_rejected",
        "upstream_timeout",
    ]
)


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class Credential(_Strict, frozen=True, kw_only=True):
    """A credential an account must supply. `secret = false` may be shown."""

    about: str
    required: bool = True
    secret: bool = True


class Setting(_Strict, frozen=True, kw_only=True):
    """A setting an account may have."""

    about: str
    type: Literal["string", "boolean", "integer", "array"] = "string"
    default: Any = None


class AuthRefresh(_Strict, frozen=True, kw_only=True):
    """How a refresh token is exchanged."""

    encoding: Literal["form", "json"] = "form"
    extra: dict[str, str] = {}
    send: list[str] = []


class AccountHeader(_Strict, frozen=True, kw_only=True):
    """A header filled from a credential, when the boolean setting `when` is on."""

    credential: str
    when: str = ""


class Authorize(_Strict, frozen=True, kw_only=True):
    """How a person connects an account at the provider: the authorization code, with PKCE."""

    url: str
    pkce: Literal[True] = True
    scope: str = ""
    extra: dict[str, str] = {}


class AuthSpec(_Strict, frozen=True, kw_only=True):
    """`[auth]`."""

    scheme: str = "none"
    header: str = ""
    query: str = ""
    format: str = ""
    token: str = "{token}"
    username: str = "{username}"
    password: str = "{password}"
    client: Literal["post", "basic"] = "post"
    authorize: Authorize | None = None
    token_url: str = ""
    encoding: Literal["form", "json"] = "form"
    extra: dict[str, str] = {}
    send: list[str] = []
    refresh: AuthRefresh | None = None
    account_headers: dict[str, AccountHeader] = {}


class ResetSpec(_Strict, frozen=True, rename={"as_": "as"}, kw_only=True):
    """Where a provider hides its reset."""

    header: str
    as_: Literal["delta", "epoch", "date"] = "delta"


class RateLimitSpec(_Strict, frozen=True, kw_only=True):
    """`[failures.rate_limit]`."""

    reset: ResetSpec | None = None


class FailuresSpec(_Strict, frozen=True, kw_only=True):
    """`[failures]`: how the provider says no."""

    message: str | list[str] = "/message"
    status: dict[str, str] = {}
    partial: str = ""
    rate_limit: RateLimitSpec = RateLimitSpec()


class Host(_Strict, frozen=True, kw_only=True):
    """A further host of the provider. It is sent credentials with `sign = true` only."""

    url: str
    sign: bool = False


class Verify(_Strict, frozen=True, kw_only=True):
    """`[verify]`: the call that proves an account's credentials."""

    get: str


class _Method(_Strict, frozen=True, kw_only=True):
    http: str
    effect: Effect | None = None
    one: bool = False
    paged: bool | None = None
    view: list[str] | None = None
    tags: list[str] | None = None
    paging: Paging | None = None
    idempotent: bool | None = None
    confirm: str = ""
    tool: str = ""
    send: Send = Send()
    receive: Receive = Receive()


class _Resource(_Strict, frozen=True, kw_only=True):
    methods: dict[str, Any]
    tags: list[str] = []
    docs: str = ""
    singular: str = ""
    object: str = ""
    view: list[str] = []
    paging: Paging | None = None


class _Manifest(_Strict, frozen=True, kw_only=True):
    format: int
    name: str
    title: str
    base_url: str
    crossdock: str = ""
    headers: dict[str, str] = {}
    hosts: dict[str, Any] = {}
    credentials: dict[str, Any] = {}
    settings: dict[str, Any] = {}
    auth: AuthSpec = AuthSpec()
    paging: Paging = Paging()
    failures: FailuresSpec = FailuresSpec()
    verify: Verify | None = None
    resources: dict[str, Any]


class Method(msgspec.Struct, frozen=True, kw_only=True):
    """A declared endpoint of a resource, with the name its tool would have."""

    resource: str
    method: str
    singular: str
    tool: str
    endpoint: Endpoint
    effect: Effect
    tags: tuple[str, ...]
    paging: Paging
    idempotent: bool
    source: str
    confirm: tuple[str, ...] | None = None
    object: str = ""
    lists: bool = False
    view: tuple[str, ...] = ()


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """adapter.toml, decoded."""

    source: str
    name: str
    title: str
    base_url: str
    headers: dict[str, str]
    hosts: dict[str, Host]
    credentials: dict[str, Credential]
    settings: dict[str, Setting]
    auth: AuthSpec
    paging: Paging
    failures: FailuresSpec
    verify: Verify | None
    methods: tuple[Method, ...]
    crossdock: str = ""


def read_manifest(text: str, source: str) -> Manifest:
    """Decode adapter.toml. `source` is the file's name for errors. Raises AdapterError."""
    lines = Lines(text, source)
    raw = parse_toml(text, source)
    _hoist_first(raw)
    head = lines.convert({**raw, "resources": {}}, _Manifest, "") if raw.get("resources") else None
    if head is None:
        raise AdapterError(f"{source}:1: no [resources.…] table; declare at least one endpoint")
    if head.format != 1:
        raise AdapterError(f"{lines.at('format')}: format {head.format} is unknown; this is 1")
    if not is_identifier(head.name):
        raise AdapterError(f"{lines.at('name')}: name {head.name!r} must match [a-z][a-z0-9_]*")
    credentials = _each(head.credentials, Credential, "credentials", lines)
    settings: dict[str, Setting] = _each(head.settings, Setting, "settings", lines)
    for key, setting in settings.items():
        if key == "base_url":
            raise AdapterError(
                f"{lines.at('settings', key)}: settings.base_url exists by itself; "
                "its default is the top-level base_url"
            )
        if setting.default is not None and not _fits(setting):
            raise AdapterError(f"{lines.at('settings', key)}: default is not a {setting.type}")
    hosts: dict[str, Host] = _each(head.hosts, Host, "hosts", lines)
    _check_hosts(hosts, settings, lines)
    _check_auth(head.auth, credentials, lines)
    _check_statuses(head.failures, lines)
    methods = read_resources(raw["resources"], head.name, head.paging, lines)
    for method in methods:
        if method.endpoint.host not in ("", *hosts):
            raise AdapterError(
                f"{method.source}: the host {method.endpoint.host!r} is not declared; "
                f"write [hosts.{method.endpoint.host}] with its url"
            )
    return Manifest(
        source=source,
        name=head.name,
        title=head.title,
        base_url=head.base_url.rstrip("/"),
        headers=head.headers,
        hosts=hosts,
        credentials=credentials,
        settings=settings,
        auth=head.auth,
        paging=head.paging,
        failures=head.failures,
        verify=head.verify,
        methods=tuple(methods),
        crossdock=head.crossdock,
    )


def _each(tables: Mapping[str, Any], kind: type, section: str, lines: Lines) -> dict[str, Any]:
    return {
        key: lines.convert(table, kind, f"{section}.{key}", section, key)
        for key, table in tables.items()
    }


def _check_hosts(hosts: Mapping[str, Host], settings: Mapping[str, Setting], lines: Lines) -> None:
    for name, host in hosts.items():
        at = lines.at("hosts", name)
        if not is_identifier(name) or name == "base":
            raise AdapterError(f"{at}: host {name!r} is not [a-z][a-z0-9_]*, or is `base`")
        if not re.fullmatch(r"https?://[^/?#\s@]+(/[^?#\s]*)?", host.url):
            raise AdapterError(
                f"{at}: hosts.{name}.url must be an https URL without query, "
                'as "https://files.example.com"'
            )
        if f"{name}_url" in settings:
            raise AdapterError(
                f"{lines.at('settings', f'{name}_url')}: settings.{name}_url exists by itself; "
                f"its default is hosts.{name}.url"
            )


def _templates(auth: AuthSpec) -> list[str]:
    """Return which keys of `[auth]` are templates that the scheme fills from credentials."""
    by_scheme = {"bearer": ["token"], "basic": ["username", "password"]}
    return ["format", *by_scheme.get(auth.scheme, [])]


def _check_auth(auth: AuthSpec, credentials: Mapping[str, Credential], lines: Lines) -> None:
    """Refuse a credential that no account can have: it would only fail with the first call."""
    named: list[tuple[str, str]] = []
    for key in _templates(auth):
        try:
            parts = [*string.Formatter().parse(getattr(auth, key))]
        except ValueError as error:
            raise AdapterError(f"{lines.at('auth', key)}: auth.{key}: {error}") from None
        named += [(key, name) for _, name, _, _ in parts if name is not None]
    named += [("send", name) for name in auth.send]
    named += [("account_headers", one.credential) for one in auth.account_headers.values()]
    for key, name in named:
        if name not in credentials:
            given = key if getattr(auth, key) != getattr(AuthSpec(), key) else "scheme"
            raise AdapterError(
                f"{lines.at('auth', given)}: auth.{key} needs [credentials.{name}], which is absent"
            )


def _check_statuses(failures: FailuresSpec, lines: Lines) -> None:
    for status, kind in failures.status.items():
        at = lines.at("failures", "status")
        if not re.fullmatch("[1-5][0-9][0-9]", status):
            raise AdapterError(f"{at}: failures.status: {status!r} is no HTTP status")
        if kind not in _KINDS:
            raise AdapterError(
                f"{at}: failures.status: {kind!r} is no kind; use {', '.join(sorted(_KINDS))}"
            )


def _fits(setting: Setting) -> bool:
    kinds: dict[str, type] = {"string": str, "boolean": bool, "integer": int, "array": list}
    return type(setting.default) is kinds[setting.type]


def read_resources(
    raw: Mapping[str, Any], adapter: str, paging: Paging, lines: Lines
) -> list[Method]:
    """Decode a `[resources]` table into methods, in the order of the file."""
    methods: list[Method] = []
    for resource_name, table in raw.items():
        where = ("resources", resource_name)
        if not is_identifier(resource_name):
            raise AdapterError(f"{lines.at(*where)}: {resource_name!r} is not [a-z][a-z0-9_]*")
        _hoist_first(table)
        resource = lines.convert(table, _Resource, ".".join(where), *where)
        for method_name, value in resource.methods.items():
            method = _method(resource_name, resource, method_name, value, adapter, paging, lines)
            for other in methods:
                if other.tool == method.tool:
                    raise AdapterError(
                        f"{method.source}: the tool {method.tool} is declared twice, first at "
                        f"{other.source}"
                    )
            methods.append(method)
    return methods


def _hoist_first(table: Any) -> None:
    """`first` may stand beside what is asked, too: it is the number that `ask.page` begins with."""
    paging = table.get("paging") if isinstance(table, dict) else None
    if not isinstance(paging, dict) or not isinstance(ask := paging.get("ask"), dict):
        return
    if type(ask.get("first")) is int:
        paging.setdefault("first", ask.pop("first"))


def _method(
    resource_name: str,
    resource: _Resource,
    name: str,
    value: Any,
    adapter: str,
    paging: Paging,
    lines: Lines,
) -> Method:
    place = ("resources", resource_name, "methods", name)
    source = lines.at(*place)
    if not is_identifier(name):
        raise AdapterError(f"{source}: method {name!r} is not [a-z][a-z0-9_]*")
    if isinstance(value, str):
        value = {"http": value}
    _hoist_first(value)
    spec = lines.convert(value, _Method, ".".join(place), *place)
    if spec.tool and not is_identifier(spec.tool):
        raise AdapterError(f"{source}: tool {spec.tool!r} is not [a-z][a-z0-9_]*")
    singular = resource.singular or singular_of(resource_name)
    endpoint = _endpoint(spec, source)
    paging = spec.paging or resource.paging or paging
    lists = name == "list" if spec.paged is None else spec.paged
    if lists:
        _check_paging(paging, source)
    effect = spec.effect or default_effect(name)
    return Method(
        resource=resource_name,
        method=name,
        singular=singular,
        tool=spec.tool or tool_name(adapter, resource_name, name, singular),
        endpoint=endpoint,
        effect=effect,
        tags=tuple(resource.tags if spec.tags is None else spec.tags),
        paging=paging,
        idempotent=(
            endpoint.verb in ("GET", "PUT", "DELETE")
            if spec.idempotent is None
            else spec.idempotent
        ),
        source=source,
        confirm=_confirm(spec.confirm, effect, source),
        object=resource.object,
        lists=lists,
        view=tuple(resource.view if spec.view is None else spec.view) if lists else (),
    )


def _confirm(word: str, effect: Effect, source: str) -> tuple[str, ...] | None:
    """Read when a human is asked first: what destroys asks always, unless told otherwise."""
    if not word:
        return () if effect == "destructive" else None
    if word == "never":
        return None
    if word == "always":
        return ()
    kind, _, names = word.partition(":")
    arguments = tuple(name.strip() for name in names.split(",") if name.strip())
    if kind != "with" or not arguments:
        raise AdapterError(
            f'{source}: confirm {word!r} is unknown; write "always", "never" or "with:ARGUMENT"'
        )
    return arguments


def _endpoint(spec: _Method, source: str) -> Endpoint:
    found = _HTTP.fullmatch(spec.http)
    if not found:
        raise AdapterError(
            f"{source}: {spec.http!r} is not an endpoint; write a verb ({', '.join(_VERBS)}) "
            'and a path, as "GET /orders/{id}"'
        )
    verb, host, target = found.groups()
    if set(PLACEHOLDER.sub("", target)) & {"{", "}"}:
        raise AdapterError(
            f"{source}: {target!r}: write a placeholder as {{id}}, in [a-z][a-z0-9_]*"
        )
    path, _, query = target.partition("?")
    pairs = [tuple(pair.partition("=")[::2]) for pair in query.split("&")] if query else []
    return Endpoint(
        verb=verb,  # type: ignore[arg-type]
        path=path,
        query=tuple(pairs),
        one=spec.one,
        host=host or "",
        send=spec.send,
        receive=spec.receive,
    )


def _check_paging(paging: Paging, source: str) -> None:
    for key, keys, given in (("ask", _ASKS, paging.ask), ("tell", _TELLS, paging.tell)):
        needed, allowed = keys[paging.style]
        means = "the provider's query parameter" if key == "ask" else "a JSON Pointer"
        if missing := needed - set(given):
            raise AdapterError(
                f"{source}: paging of style {paging.style} needs {key} = {{ {min(missing)} = … }}, "
                f"{means}"
            )
        if unknown := set(given) - needed - allowed:
            raise AdapterError(
                f"{source}: paging.{key}: `{min(unknown)}` means nothing to {paging.style}"
            )
    for name, pointer in paging.tell.items():
        if not pointer.startswith("/"):
            raise AdapterError(
                f'{source}: paging.tell.{name}: {pointer!r} is no JSON Pointer, as "/{name}"'
            )
    if paging.style == "page" and len(paging.tell) > 1:
        raise AdapterError(f"{source}: paging.tell: give one of pages, total and more")
    if not 1 <= paging.limit.default <= paging.limit.max:
        raise AdapterError(f"{source}: paging.limit: default must lie between 1 and max")


def placeholders(endpoint: Endpoint) -> tuple[str, ...]:
    """Return the names in `{…}` of the path and the query template, in order."""
    templates = [endpoint.path, *(value for _, value in endpoint.query)]
    return tuple(name for text in templates for name in PLACEHOLDER.findall(text))


def parse_toml(text: str, source: str, first_line: int = 1) -> dict[str, Any]:
    """Parse TOML; a mistake is an AdapterError with file:line."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"\(at line (\d+)", str(error))
        line = first_line + int(found.group(1)) - 1 if found else first_line
        reason = str(error).partition(" (at ")[0]
        raise AdapterError(f"{source}:{line}: {reason}") from None


class Lines:
    """Finds the line of a TOML key, so that an error can say where it is."""

    def __init__(self, text: str, source: str, first_line: int = 1) -> None:
        self.source = source
        self._first = first_line
        self._places: dict[tuple[str, ...], int] = {}
        table: tuple[str, ...] = ()
        for number, line in enumerate(text.splitlines(), first_line):
            bare = line.strip()
            if header := re.fullmatch(r"\[+([^\[\]]+)\]+(?:\s*#.*)?", bare):
                table = _dotted(header.group(1))
                self._note(table, number)
            elif assignment := re.match(r"([A-Za-z0-9_\-.\"' ]+?)\s*=", bare):
                self._note(table + _dotted(assignment.group(1)), number)

    def _note(self, place: tuple[str, ...], number: int) -> None:
        for length in range(1, len(place) + 1):
            self._places.setdefault(place[:length], number)

    def at(self, *place: str) -> str:
        """Return `file:line` of a key, or of the nearest table around it."""
        while place and place not in self._places:
            place = place[:-1]
        return f"{self.source}:{self._places.get(place, self._first)}"

    def convert(self, value: Any, kind: type, label: str, *place: str) -> Any:
        """Decode plain TOML values into a Struct; a mistake names file:line and the key."""
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            misfit = Misfit(error)
            inner = tuple(step for step in misfit.steps if not step.startswith("["))
            reason = misfit.reason
            if misfit.unknown:
                inner += (misfit.unknown,)
                reason = f"unknown key `{misfit.unknown}`"
            named = ".".join(part for part in (label, *inner) if part)
            raise AdapterError(f"{self.at(*place, *inner)}: {named}: {reason}") from None


def _dotted(text: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in text.split("."))
