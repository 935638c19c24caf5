"""Rules for `[resources]` and `[paging]`: endpoints, effects, tags, names, how lists go on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from crossdock.adapter.declaration import Declaration
from crossdock.adapter.findings import Flaw, Place, Stage
from crossdock.adapter.manifest import ASKS, HTTP, PLACEHOLDER, TELLS, VERBS
from crossdock.adapter.naming import LONGEST_NAME, default_effect
from crossdock.adapter.rules.head_rules import misfits

ENDPOINTS = Stage()
LONGEST_SERVER = 10  # characters that some clients put before a tool's name as mcp__<server>__
_READING_POSTS = {"search", "list", "count"}
_TAG = re.compile(r"[a-z][a-z0-9_-]*")


def _target(text: Any) -> re.Match[str] | None:
    return HTTP.fullmatch(text) if isinstance(text, str) else None


def wrong_endpoint(text: str) -> str:
    """Return why a text is no endpoint; "" if it is one."""
    found = HTTP.fullmatch(text)
    if found is None:
        return "is not an endpoint"
    target = found[3]
    if set(PLACEHOLDER.sub("", target)) & {"{", "}"}:
        return "has a placeholder that is not written as {id}, in [a-z][a-z0-9_]*"
    path = target.partition("?")[0]
    if "#" in target or any(part in (".", "..") for part in path.split("/")):
        return "leaves its path"
    return ""


@ENDPOINTS.rule("endpoint", "adaptertoml")
def _endpoint(head: Declaration) -> Iterator[Flaw]:
    for place, _ in head.methods():
        where, text = head.http(place)
        if isinstance(text, str) and (why := wrong_endpoint(text)):
            yield Flaw(
                place=where,
                message=f"{text!r} {why}",
                remedy=f'write a verb ({", ".join(VERBS)}) and a path, as "GET /orders/{{id}}"',
            )


@ENDPOINTS.rule("host", "adaptertoml")
def _undeclared_host(head: Declaration) -> Iterator[Flaw]:
    hosts = head.given.get("hosts")
    for place, _ in head.methods():
        where, text = head.http(place)
        found = _target(text)
        if found and found[2] and found[2] not in (hosts if isinstance(hosts, dict) else {}):
            yield Flaw(
                place=where,
                message=f"the host `{found[2]}` is not declared",
                remedy=f"write [hosts.{found[2]}] with its url",
            )


@ENDPOINTS.rule("send", "adaptertoml")
def _send(head: Declaration) -> Iterator[Flaw]:
    yield from misfits(head, "send", "see `send` in the table of keys")
    for place, _ in head.methods():
        send = head.at(*place, "send") if isinstance(head.at(*place), dict) else None
        if not isinstance(send, dict) or head.erring(*place, "send"):
            continue
        form = send.get("as", "json")
        found = _target(head.http(place)[1])
        if found and found[1] == "GET" and form != "none":
            yield Flaw(
                place=(*place, "send"), message="a GET sends no body", remedy="leave `send` out"
            )
        for key in ("wrap", "whole", "constants"):
            if send.get(key) and form == "none":
                yield Flaw(
                    place=(*place, "send", key),
                    message=f'`{key}` means nothing where `as = "none"` sends no body',
                    remedy="leave one of them out",
                )
        if send.get("whole") and (form != "json" or send.get("constants")):
            yield Flaw(
                place=(*place, "send", "whole"),
                message="the argument that is the whole body leaves no room for constants or forms",
                remedy='use it with `as = "json"` alone',
            )


@ENDPOINTS.rule("receive", "adaptertoml")
def _receive(head: Declaration) -> Iterator[Flaw]:
    yield from misfits(head, "receive", "see `receive` in the table of keys")
    for place, _ in head.methods():
        receive = head.at(*place, "receive") if isinstance(head.at(*place), dict) else None
        if not isinstance(receive, dict) or head.erring(*place, "receive"):
            continue
        for one in receive.get("types") or ():
            if not re.fullmatch(r"[\w.+-]+/[\w.+*-]+", one):
                yield Flaw(
                    place=(*place, "receive", "types"),
                    message=f"{one!r} is no media type",
                    remedy='write it as "application/pdf"',
                )
        if receive.get("at") and receive.get("as") == "text":
            yield Flaw(
                place=(*place, "receive", "at"),
                message="`at` leads to base64 inside JSON, which is no text",
                remedy='write `as = "binary"` beside it, or leave `as` out',
            )


@ENDPOINTS.rule("effect", "names")
def _effect(head: Declaration) -> Iterator[Flaw]:
    yield from misfits(head, "effect", "use read, write or destructive")
    for place, spec in head.methods():
        found = _target(spec.get("http"))
        effect = spec.get("effect") or default_effect(place[-1])
        if found is None or effect != "read" or head.erring(*place, "effect"):
            continue
        where = (*place, "effect") if "effect" in spec else place
        if found[1] == "DELETE":
            yield Flaw(
                place=where,
                message="a DELETE does not only read",
                remedy='write effect = "destructive", or the verb that is meant',
            )


@ENDPOINTS.rule("effect", "names", lint=True)
def _reading_writes(head: Declaration) -> Iterator[Flaw]:
    for place, spec in head.methods():
        found = _target(spec.get("http"))
        effect = spec.get("effect") or default_effect(place[-1])
        if found is None or effect != "read" or found[1] not in ("POST", "PUT", "PATCH"):
            continue
        if not _READING_POSTS & set(place[-1].split("_")):
            yield Flaw(
                place=(*place, "effect") if "effect" in spec else place,
                severity="note",
                message=f"a {found[1]} that only reads is called search, list or count elsewhere",
                remedy="make sure that it changes nothing: servers for reading have it",
            )


@ENDPOINTS.rule("confirm", "adaptertoml")
def _confirm(head: Declaration) -> Iterator[Flaw]:
    for place, spec in head.methods():
        word = spec.get("confirm")
        if not word or word in ("always", "never"):
            continue
        kind, _, names = word.partition(":")
        if kind != "with" or not [name for name in names.split(",") if name.strip()]:
            yield Flaw(
                place=(*place, "confirm"),
                message=f"confirm {word!r} is unknown",
                remedy='write "always", "never" or "with:ARGUMENT"',
            )


@ENDPOINTS.rule("tag", "adaptertoml")
def _tag(head: Declaration) -> Iterator[Flaw]:
    tagged: list[tuple[Place, Any]] = [
        (("resources", name, "tags"), resource.get("tags"))
        for name, resource in head.resources.items()
    ]
    tagged += [((*place, "tags"), spec.get("tags")) for place, spec in head.methods()]
    for place, tags in tagged:
        for tag in tags or ():
            if not _TAG.fullmatch(tag):
                yield Flaw(
                    place=place,
                    message=f"the tag {tag!r} is not [a-z][a-z0-9_-]*",
                    remedy="write small letters, digits, _ and -, beginning with a letter",
                )


@ENDPOINTS.rule("tag", "adaptertoml", lint=True)
def _no_tag(head: Declaration) -> Iterator[Flaw]:
    for name, resource in head.resources.items():
        specs = [spec for place, spec in head.methods() if place[1] == name]
        bare = [one for one in specs if not one.get("tags", resource.get("tags"))]
        if bare and not head.erring("resources", name):
            yield Flaw(
                place=("resources", name, "tags"),
                severity="warning",
                message=f"tools of `{name}` have no tag, so no server can ask for them by one",
                remedy='write tags = ["…"], a functional area',
            )


@ENDPOINTS.rule("tool-name", "names")
def _tool_name(head: Declaration) -> Iterator[Flaw]:
    for place, _ in head.methods():
        name = head.tool(place)
        if len(name) > LONGEST_NAME:
            yield Flaw(
                place=place,
                message=f"{name} has {len(name)} characters; clients accept {LONGEST_NAME}",
                remedy='write a shorter one as `tool = "…"`',
            )


@ENDPOINTS.rule("tool-name", "names", lint=True)
def _name_with_prefix(head: Declaration) -> Iterator[Flaw]:
    for place, _ in head.methods():
        name = head.tool(place)
        longest = len("mcp____") + len(name) + LONGEST_SERVER
        if len(name) <= LONGEST_NAME < longest:
            yield Flaw(
                place=place,
                severity="warning",
                message=f"{name} has {len(name)} characters: some clients put mcp__<server>__ "
                f"before it and refuse more than {LONGEST_NAME}",
                remedy='write a shorter one as `tool = "…"`, or keep server names short',
            )


@ENDPOINTS.rule("tool-twice", "names")
def _tool_twice(head: Declaration) -> Iterator[Flaw]:
    first: dict[str, Place] = {}
    for place, _ in head.methods():
        name = head.tool(place)
        known = first.setdefault(name, place)
        if known != place:
            yield Flaw(
                place=place,
                also=(known,),
                message=f"the tool {name} is declared twice, first in line {head.line(known)}",
                remedy="give one a `tool` or its resource a `singular` of its own",
            )


@ENDPOINTS.rule("paging", "paging")
def _paging(head: Declaration) -> Iterator[Flaw]:
    styles = ", ".join(ASKS)
    yield from misfits(head, "paging", f"use {styles}")
    for place, paging in head.tables("paging"):
        if head.erring(*place, "style"):
            continue
        style = paging.get("style", "none")
        for key, wanted in (("ask", ASKS), ("tell", TELLS)):
            if not head.erring(*place, key):
                yield from _asked(place, key, style, wanted[style], paging.get(key) or {})
        if style == "page" and len(paging.get("tell") or {}) > 1:
            yield Flaw(
                place=(*place, "tell"),
                message="several ends of the list are told",
                remedy="give one of pages, total and more",
            )
        yield from _limits(place, paging)


def _asked(
    place: Place, key: str, style: str, wanted: tuple[set[str], set[str]], given: dict[str, Any]
) -> Iterator[Flaw]:
    needed, allowed = wanted
    means = "the provider's query parameter" if key == "ask" else "a JSON Pointer"
    for name in sorted(needed - set(given)):
        yield Flaw(
            place=(*place, key, name),
            message=f"paging of style {style} needs {key}.{name}",
            remedy=f'write {key} = {{ {name} = "…" }}, {means}',
        )
    for name in given:
        if name not in needed | allowed:
            known = ", ".join(sorted(needed | allowed)) or "none"
            yield Flaw(
                place=(*place, key, name),
                message=f"`{name}` means nothing to paging of style {style}",
                remedy=f"{key} may hold {known}",
            )


def _limits(place: Place, paging: dict[str, Any]) -> Iterator[Flaw]:
    limit = paging.get("limit") or {}
    default, most = limit.get("default", 25), limit.get("max", 50)
    if not 1 <= default <= most:
        yield Flaw(
            place=(*place, "limit"),
            message=f"the default {default} does not lie between 1 and max, which is {most}",
            remedy="write both, as { default = 25, max = 50 }",
        )
