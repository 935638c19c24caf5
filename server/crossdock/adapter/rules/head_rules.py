"""Rules for the head of adapter.toml: keys and values, name, format, range, base URL, failures."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from crossdock.adapter.declaration import Declaration, reason_of
from crossdock.adapter.findings import Flaw, Place, Stage
from crossdock.adapter.manifest import KINDS, fits_setting
from crossdock.adapter.naming import is_identifier
from crossdock.adapter.ranges import unmet
from crossdock.adapter.toml_shapes import Mistake

HEAD = Stage()
_POINTER = re.compile(r"(?:/(?:[^~/]|~[01])*)*")


def _owner(mistake: Mistake) -> str:
    """Return the rule that a mistake belongs to: some tables and keys have one of their own."""
    place = mistake.place
    if mistake.kind == "unknown":
        return "toml-key"
    if place[:1] == ("hosts",):
        return "host"
    if place[:1] == ("resources",):
        for name in ("send", "receive"):
            if name in place[4:5]:
                return name
        if place[4:] == ("effect",):
            return "effect"
    if place == ("format",) and mistake.kind == "wrong":
        return "format"
    if place[-2:] == ("paging", "style"):
        return "paging"
    return "toml-missing" if mistake.kind == "absent" else "toml-type"


def mistakes_of(head: Declaration, rule: str) -> Iterator[Mistake]:
    """Yield the keys that do not fit and belong to a rule."""
    return (one for one in head.mistakes if _owner(one) == rule)


def misfits(head: Declaration, rule: str, remedy: str) -> Iterator[Flaw]:
    """Tell of every value of a rule's that does not fit."""
    for one in mistakes_of(head, rule):
        words = "is missing" if one.kind == "absent" else reason_of(one)
        yield Flaw(place=one.place, message=words, remedy=remedy)


@HEAD.rule("toml-key", "adaptertoml")
def _unknown_key(head: Declaration) -> Iterator[Flaw]:
    for one in mistakes_of(head, "toml-key"):
        remedy = f"did you mean `{one.near}`?" if one.near else "leave it out: no such key exists"
        yield Flaw(place=one.place, message=f"unknown key `{one.place[-1]}`", remedy=remedy)
    if "base_url" in (head.at("settings") or {}):
        yield Flaw(
            place=("settings", "base_url"),
            message="settings.base_url exists by itself",
            remedy="its default is the top-level base_url; leave it out",
        )


@HEAD.rule("toml-type", "adaptertoml")
def _wrong_type(head: Declaration) -> Iterator[Flaw]:
    yield from misfits(head, "toml-type", "see the table of keys for what belongs there")
    for name, setting in (head.at("settings") or {}).items():
        if not head.erring("settings", name) and not fits_setting(setting):
            kind = setting.get("type", "string")
            yield Flaw(
                place=("settings", name, "default"),
                message=f"default is not a {kind}",
                remedy=f"write a {kind}, or another `type`",
            )


@HEAD.rule("toml-missing", "adaptertoml")
def _missing_key(head: Declaration) -> Iterator[Flaw]:
    meant = {(*one.place[:-1], one.near) for one in head.mistakes if one.kind == "unknown"}
    for one in mistakes_of(head, "toml-missing"):
        if one.place not in meant:
            name = ".".join(one.place)
            yield Flaw(place=one.place, message=f"`{one.place[-1]}` is missing", remedy=_add(name))
    if head.at("resources") == {} and not head.erring("resources"):
        yield Flaw(
            place=("resources",),
            message="there is no [resources.…] table",
            remedy="declare at least one endpoint",
        )


def _add(name: str) -> str:
    return f"write [{name}]" if name == "resources" else f"write `{name} = …`"


@HEAD.rule("format", "adaptertoml")
def _format(head: Declaration) -> Iterator[Flaw]:
    given = head.given.get("format")
    if given is not None and (given != 1 or head.erring("format")):
        yield Flaw(
            place=("format",), message=f"format {given!r} is unknown", remedy="write `format = 1`"
        )


@HEAD.rule("requires", "what-stays-as-it-is")
def _requires(head: Declaration) -> Iterator[Flaw]:
    given = head.at("crossdock")
    if not given:
        return
    try:
        why = unmet(given)
    except ValueError:
        yield Flaw(
            place=("crossdock",),
            message=f"{given!r} is no range of versions",
            remedy='write it as ">=0.2,<0.4"',
        )
        return
    if why:
        yield Flaw(
            place=("crossdock",),
            message=why,
            remedy="install a crossdock of that range, or a release of the adapter for this one",
        )


@HEAD.rule("name", "names")
def _names(head: Declaration) -> Iterator[Flaw]:
    name = head.at("name")
    places: list[Place] = [("name",)] if name is not None else []
    places += [("resources", key) for key in head.resources]
    places += [place for place, _ in head.methods()]
    named: dict[Place, Any] = {("name",): name}
    for place, spec in head.methods():
        if spec.get("tool"):
            places.append((*place, "tool"))
            named[(*place, "tool")] = spec["tool"]
    for place in places:
        text = named.get(place, place[-1])
        if not is_identifier(text):
            yield Flaw(
                place=place,
                message=f"{text!r} is not [a-z][a-z0-9_]*",
                remedy="write small letters, digits and _, beginning with a letter",
            )


@HEAD.rule("base-url", "adaptertoml")
def _base_url(head: Declaration) -> Iterator[Flaw]:
    url = head.at("base_url")
    if url is not None and (why := wrong_url(url)):
        yield Flaw(
            place=("base_url",),
            message=f"{url!r} {why}",
            remedy='write where the API is, as "https://api.example.com/v2"',
        )


def wrong_url(url: str) -> str:
    """Return why a URL is not one that requests can be sent to; "" if it is."""
    try:
        parts = urlsplit(url)
        port_is_wrong = parts.port is not None and not parts.port > 0
    except ValueError:
        return "is no URL"
    if parts.scheme not in ("http", "https") or not parts.hostname or port_is_wrong:
        return "is no absolute http or https URL"
    if "?" in url or "#" in url:
        return "has a query or a fragment"
    if parts.username is not None or re.search(r"[\s{}\\]", url):
        return "has characters that do not belong into it"
    return ""


@HEAD.rule("verify", "adaptertoml")
def _verify(head: Declaration) -> Iterator[Flaw]:
    path = head.at("verify", "get")
    if isinstance(path, str) and not re.fullmatch(r"/[^\s#{}]*", path):
        yield Flaw(
            place=("verify", "get"),
            message=f"{path!r} is no path",
            remedy='write the path of a harmless GET, as "/gates?limit=1"',
        )


@HEAD.rule("verify", "adaptertoml", lint=True)
def _no_verify(head: Declaration) -> Iterator[Flaw]:
    meant = any(one.near == "verify" for one in head.mistakes)
    if "verify" not in head.given and not meant and not head.contributed:
        yield Flaw(
            place=("verify",),
            severity="warning",
            message="nothing proves an account's credentials before it is used",
            remedy='write [verify] with get = "…", the path of a harmless GET',
        )


@HEAD.rule("failures", "when-it-fails")
def _failures(head: Declaration) -> Iterator[Flaw]:
    for status, kind in (head.at("failures", "status") or {}).items():
        place = ("failures", "status", status)
        if not re.fullmatch("[1-5][0-9][0-9]", status):
            yield Flaw(
                place=place,
                message=f"{status!r} is no HTTP status",
                remedy="write a status of three digits, as 422",
            )
        if kind not in KINDS:
            yield Flaw(
                place=place,
                message=f"{kind!r} is no kind",
                remedy=f"use {', '.join(sorted(KINDS))}",
            )


def pointers_of(head: Declaration) -> Iterator[tuple[Place, str]]:
    """Yield every JSON Pointer of the file."""
    message = head.at("failures", "message")
    for one in [message] if isinstance(message, str) else message or ():
        yield ("failures", "message"), one
    if partial := head.at("failures", "partial"):
        yield ("failures", "partial"), partial
    for place, paging in head.tables("paging"):
        if "items" in paging:
            yield (*place, "items"), paging["items"]
        for key, pointer in (paging.get("tell") or {}).items():
            yield (*place, "tell", key), pointer
    for name, keys in (("send", ("wrap",)), ("receive", ("at",))):
        for place, table in head.tables(name):
            yield from (((*place, key), table[key]) for key in keys if key in table)
            poll = table.get("poll")
            if isinstance(poll, dict) and "state" in poll:
                yield (*place, "poll", "state"), poll["state"]


@HEAD.rule("pointer", "paging")
def _pointer(head: Declaration) -> Iterator[Flaw]:
    for place, pointer in pointers_of(head):
        if not _POINTER.fullmatch(pointer):
            yield Flaw(
                place=place,
                message=f"{pointer!r} is no JSON Pointer",
                remedy='write it from the top of the answer, as "/data/items"; "" is the whole',
            )
