"""Rules for `[auth]`, `[credentials]` and `[hosts]`: what signs, and what is sent nowhere."""

from __future__ import annotations

import difflib
import string
from collections.abc import Iterator
from typing import Any

from crossdock.adapter.declaration import Declaration
from crossdock.adapter.findings import Flaw, Place, Stage
from crossdock.adapter.manifest import SCHEMES
from crossdock.adapter.naming import is_identifier
from crossdock.adapter.rules.head_rules import misfits, wrong_url

AUTH = Stage()
_OAUTH = ("oauth2_client_credentials", "oauth2_refresh")
# What each scheme fills from credentials, with what it fills where the key is absent.
_TEMPLATES = {
    "api_key": {"format": ""},
    "bearer": {"token": "{token}"},
    "basic": {"username": "{username}", "password": "{password}"},
}
_OF_OAUTH = ("token_url", "encoding", "extra", "send", "refresh", "account_headers")
_KEYS: dict[str, tuple[str, ...]] = {
    "none": (),
    "api_key": ("format", "header", "query"),
    "bearer": ("token",),
    "basic": ("username", "password"),
    **dict.fromkeys(_OAUTH, (*_OF_OAUTH, "client", "authorize")),
}


def _auth(head: Declaration) -> dict[str, Any]:
    return head.at("auth") or {}


def _scheme(head: Declaration) -> str:
    return str(_auth(head).get("scheme", "none"))


def _judged(head: Declaration) -> bool:
    """Whether `[auth]` says enough to be judged: not what misspelt keys would only echo."""
    return not head.erring("auth") and _scheme(head) in SCHEMES and not head.contributed


@AUTH.rule("auth-scheme", "auth")
def _unknown_scheme(head: Declaration) -> Iterator[Flaw]:
    scheme = _scheme(head)
    if scheme in SCHEMES or head.signs:
        return
    near = difflib.get_close_matches(scheme, SCHEMES, 1)
    hint = f"did you mean {near[0]}? Use" if near else "use"
    yield Flaw(
        place=("auth", "scheme"),
        message=f"scheme {scheme!r} is unknown",
        remedy=f"{hint} {', '.join(SCHEMES)}, or pass load_adapter(auth=…)",
    )


def _lacking(head: Declaration) -> Iterator[tuple[str, str, str]]:
    """Yield the keys that the scheme needs and lacks: key, message, remedy."""
    auth, scheme = _auth(head), _scheme(head)
    if scheme == "api_key":
        if not auth.get("format"):
            yield "format", "api_key needs `format`", 'write `format = "Bearer {api_key}"`'
        if not auth.get("header") and not auth.get("query"):
            words = "write the header that carries it, or the query parameter"
            yield "header", "api_key needs `header` or `query`", words
        elif auth.get("header") and auth.get("query"):
            yield "query", "api_key takes either `header` or `query`", "leave one of them out"
    if scheme in _OAUTH:
        if not auth.get("token_url") and "token_url" not in (head.at("settings") or {}):
            yield "token_url", f"{scheme} needs `token_url`", "write where tokens come from"
        for name in ("client_id", "client_secret"):
            if name not in (head.given.get("credentials") or {}):
                yield "scheme", f"{scheme} needs [credentials.{name}]", "declare it"
    if scheme in ("bearer", "basic"):
        for key, default in _TEMPLATES[scheme].items():
            name = default.strip("{}")
            if key not in auth and name not in (head.given.get("credentials") or {}):
                yield (
                    key,
                    f"{scheme} needs `{key}`, since there is no [credentials.{name}]",
                    f'write `{key} = "{{…}}"` with the name of a credential',
                )


@AUTH.rule("auth-parts", "auth")
def _parts(head: Declaration) -> Iterator[Flaw]:
    if not _judged(head) or head.signs:
        return
    for key, message, remedy in _lacking(head):
        yield Flaw(place=("auth", key), message=message, remedy=remedy)
    for name, header in (_auth(head).get("account_headers") or {}).items():
        when = header.get("when")
        setting = (head.at("settings") or {}).get(when, {})
        if when and setting.get("type") != "boolean":
            yield Flaw(
                place=("auth", "account_headers", name, "when"),
                message=f"`{when}` is no boolean setting",
                remedy=f'declare [settings.{when}] with type = "boolean"',
            )


@AUTH.rule("auth-parts", "auth")
def _addresses(head: Declaration) -> Iterator[Flaw]:
    """Where tokens come from, and where people are sent to."""
    if _scheme(head) not in _OAUTH:
        return
    for place in (("auth", "token_url"), ("auth", "authorize", "url")):
        url = head.at(*place)
        if isinstance(url, str) and url and (why := wrong_url(url)) and "query" not in why:
            yield Flaw(
                place=place,
                message=f"{url!r} {why}",
                remedy='write it in full, as "https://login.example.com/token"',
            )


@AUTH.rule("auth-parts", "auth", lint=True)
def _parts_of_others(head: Declaration) -> Iterator[Flaw]:
    if not _judged(head) or head.signs:
        return
    for key in _auth(head):
        if key != "scheme" and key not in _KEYS.get(_scheme(head), ()):
            yield Flaw(
                place=("auth", key),
                severity="warning",
                message=f"`{key}` means nothing to {_scheme(head)}",
                remedy="leave it out",
            )


def _templates(head: Declaration) -> Iterator[tuple[Place, str]]:
    scheme = _scheme(head)
    for key in ("format", *_TEMPLATES.get(scheme, ())):
        text = _auth(head).get(key)
        if isinstance(text, str) and not (key == "format" and scheme in ("bearer", "basic")):
            yield ("auth", key), text


def _named(head: Declaration) -> Iterator[tuple[Place, str]]:
    """Yield the credentials that `[auth]` names, each with its place. Raises ValueError."""
    auth = _auth(head)
    for place, text in _templates(head):
        for _, name, _, _ in string.Formatter().parse(text):
            if name is not None:
                yield place, name
    yield from ((("auth", "send"), name) for name in auth.get("send") or ())
    refresh = auth.get("refresh") or {}
    yield from ((("auth", "refresh", "send"), name) for name in refresh.get("send") or ())
    for header, spec in (auth.get("account_headers") or {}).items():
        if "credential" in spec:
            yield ("auth", "account_headers", header, "credential"), spec["credential"]


@AUTH.rule("auth-credential", "auth")
def _undeclared(head: Declaration) -> Iterator[Flaw]:
    for place, text in _templates(head):
        try:
            list(string.Formatter().parse(text))
        except ValueError as error:
            yield Flaw(
                place=place,
                message=f"{text!r}: {error}",
                remedy='write a credential as "{api_key}"',
            )
            return
    credentials = head.given.get("credentials")
    known = credentials if isinstance(credentials, dict) else {}
    for place, name in dict.fromkeys(_named(head)):
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean `{near[0]}`?" if near else f"declare [credentials.{name}]"
            yield Flaw(
                place=place,
                message=f"needs [credentials.{name}], which is absent",
                remedy=hint,
            )


def _sent(head: Declaration) -> set[str]:
    names = {name for _, name in _named(head)}
    scheme, auth = _scheme(head), _auth(head)
    if scheme in _OAUTH:
        names |= {"client_id", "client_secret", "refresh_token", *(auth.get("send") or ())}
    for key, default in _TEMPLATES.get(scheme, {}).items():
        if key not in auth:
            names.add(default.strip("{}"))
    return names


@AUTH.rule("auth-unused", "auth")
def _unused(head: Declaration) -> Iterator[Flaw]:
    if not _judged(head) and not head.signs:
        return
    if not head.signs and (any(_undeclared(head)) or any(_lacking(head))):
        return  # what is missing there is what would send it
    sent = head.mentioned if head.signs else _sent(head)
    for name in head.given.get("credentials") or {}:
        if name not in sent:
            yield Flaw(
                place=("credentials", name),
                severity="warning" if head.signs else "error",
                message=f"nothing sends the credential `{name}`",
                remedy="name it in [auth], or leave it out: nobody hands over what is not used",
            )


@AUTH.rule("host", "adaptertoml")
def _hosts(head: Declaration) -> Iterator[Flaw]:
    remedy = 'write [hosts.files] with url = "https://files.example.com"'
    yield from misfits(head, "host", remedy)
    for name, host in (head.at("hosts") or {}).items():
        place = ("hosts", name)
        if not is_identifier(name) or name == "base":
            yield Flaw(
                place=place,
                message=f"{name!r} is not [a-z][a-z0-9_]*, or is `base`",
                remedy="give it a name in small letters",
            )
        if isinstance(url := host.get("url"), str) and (why := wrong_url(url)):
            yield Flaw(place=(*place, "url"), message=f"{url!r} {why}", remedy=remedy)
        if f"{name}_url" in (head.at("settings") or {}):
            yield Flaw(
                place=("settings", f"{name}_url"),
                message=f"settings.{name}_url exists by itself",
                remedy=f"its default is hosts.{name}.url; leave it out",
            )
