"""adapter.toml → Structs, of what no rule refused. (long: every key of the file stands here)"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec

from crossdock.adapter.findings import Place
from crossdock.adapter.naming import default_effect, singular_of, tool_name
from crossdock.authoring import Effect, Endpoint, Paging, Receive, Send

VERBS = ("GET", "POST", "PUT", "PATCH", "DELETE")
HTTP = re.compile(r"(GET|POST|PUT|PATCH|DELETE) (?:([a-z][a-z0-9_]*):)?(/\S*)")
PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]*)\}")
# style: what has to be in `ask` or `tell`, and what may be
ASKS = {
    "link": ({"cursor"}, set[str]()),
    "offset": ({"offset"}, {"limit"}),
    "page": ({"page"}, {"size"}),
    "cursor": ({"cursor"}, {"limit"}),
    "next_url": (set[str](), {"limit"}),
    "keyset": ({"after"}, {"limit"}),
    "none": (set[str](), set[str]()),
}
TELLS = {
    "link": (set[str](), set[str]()),
    "offset": (set[str](), {"total", "more"}),
    "page": (set[str](), {"pages", "total", "more"}),
    "cursor": ({"next"}, {"more"}),
    "next_url": ({"next"}, set[str]()),
    "keyset": ({"key"}, {"more"}),
    "none": (set[str](), set[str]()),
}
SCHEMES = (
    "none",
    "api_key",
    "bearer",
    "basic",
    "oauth2_client_credentials",
    "oauth2_refresh",
)
KINDS = frozenset(
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


class Quality(_Strict, frozen=True, kw_only=True):
    """`[quality]`: the level that the adapter claims, which `crossdock check` proves."""

    level: Literal["bronze", "silver", "gold"]


class MethodTable(_Strict, frozen=True, kw_only=True):
    """A method of a resource, where it is more than its endpoint."""

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


class ResourceTable(_Strict, frozen=True, kw_only=True):
    """`[resources.<name>]`."""

    methods: dict[str, str | MethodTable]
    tags: list[str] = []
    docs: str = ""
    singular: str = ""
    object: str = ""
    view: list[str] = []
    paging: Paging | None = None


class ManifestTable(_Strict, frozen=True, kw_only=True):
    """The whole file, as it is written."""

    format: int
    name: str
    title: str
    base_url: str
    crossdock: str = ""
    headers: dict[str, str] = {}
    hosts: dict[str, Host] = {}
    credentials: dict[str, Credential] = {}
    settings: dict[str, Setting] = {}
    auth: AuthSpec = AuthSpec()
    paging: Paging = Paging()
    failures: FailuresSpec = FailuresSpec()
    verify: Verify | None = None
    quality: Quality | None = None
    resources: dict[str, ResourceTable]


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


def hoist_first(table: Any) -> None:
    """`first` may stand beside what is asked, too: it is the number that `ask.page` begins with.
    Move it to its place, in every table of `[paging]`.
    """
    if not isinstance(table, dict):
        return
    paging = table.get("paging")
    ask = paging.get("ask") if isinstance(paging, dict) else None
    if isinstance(paging, dict) and isinstance(ask, dict) and type(ask.get("first")) is int:
        paging.setdefault("first", ask.pop("first"))
    for name in ("resources", "methods"):
        inner = table.get(name)
        for one in inner.values() if isinstance(inner, dict) else ():
            hoist_first(one)


def fits_setting(setting: Mapping[str, Any]) -> bool:
    """Tell whether a setting's default is of its type."""
    kinds: dict[str, type] = {"string": str, "boolean": bool, "integer": int, "array": list}
    default = setting.get("default")
    return default is None or type(default) is kinds[setting.get("type", "string")]


def manifest_of(table: Mapping[str, Any], source: str, methods: Iterable[Method]) -> Manifest:
    """Decode the head of adapter.toml, in which no rule found an error."""
    head = msgspec.convert({**table, "resources": {}}, ManifestTable)
    return Manifest(
        source=source,
        name=head.name,
        title=head.title,
        base_url=head.base_url.rstrip("/"),
        headers=head.headers,
        hosts=head.hosts,
        credentials=head.credentials,
        settings=head.settings,
        auth=head.auth,
        paging=head.paging,
        failures=head.failures,
        verify=head.verify,
        methods=tuple(methods),
        crossdock=head.crossdock,
    )


def method_of(
    place: Place, resource: Mapping[str, Any], adapter: str, paging: Paging, source: str
) -> Method:
    """Decode a method in which no rule found an error. `resource` is the table around it."""
    _, noun, _, name = place
    written = resource["methods"][name]
    spec = msgspec.convert({"http": written} if isinstance(written, str) else written, MethodTable)
    around = msgspec.convert({**resource, "methods": {}}, ResourceTable)
    singular = around.singular or singular_of(noun)
    endpoint = _endpoint(spec)
    lists = name == "list" if spec.paged is None else spec.paged
    effect = spec.effect or default_effect(name)
    return Method(
        resource=noun,
        method=name,
        singular=singular,
        tool=spec.tool or tool_name(adapter, noun, name, singular),
        endpoint=endpoint,
        effect=effect,
        tags=tuple(around.tags if spec.tags is None else spec.tags),
        paging=spec.paging or around.paging or paging,
        idempotent=(
            endpoint.verb in ("GET", "PUT", "DELETE")
            if spec.idempotent is None
            else spec.idempotent
        ),
        source=source,
        confirm=_confirm(spec.confirm, effect),
        object=around.object,
        lists=lists,
        view=tuple(around.view if spec.view is None else spec.view) if lists else (),
    )


def _confirm(word: str, effect: Effect) -> tuple[str, ...] | None:
    """Read when a human is asked first: what destroys asks always, unless told otherwise."""
    if not word:
        return () if effect == "destructive" else None
    if word == "never":
        return None
    if word == "always":
        return ()
    return tuple(name.strip() for name in word.removeprefix("with:").split(",") if name.strip())


def _endpoint(spec: MethodTable) -> Endpoint:
    found = HTTP.fullmatch(spec.http)
    verb, host, target = found.groups() if found else ("GET", "", spec.http)
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


def placeholders(endpoint: Endpoint) -> tuple[str, ...]:
    """Return the names in `{…}` of the path and the query template, in order."""
    templates = [endpoint.path, *(value for _, value in endpoint.query)]
    return tuple(name for text in templates for name in PLACEHOLDER.findall(text))
