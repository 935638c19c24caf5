"""Rules for the arguments of a tool together: what its endpoint wants, and what clashes.

Asked after the rules for each argument, and only about what these left standing: one mistake is
told once.
"""

from __future__ import annotations

from collections.abc import Iterator

from crossdock.adapter.described import Described, aliases_of, spelled
from crossdock.adapter.findings import Flaw, Place, Stage
from crossdock.adapter.manifest import placeholders

TOGETHER = Stage()


@TOGETHER.rule("argument-path", "docsmd")
def _paths(one: Described) -> Iterator[Flaw]:
    if one.method is None or one.unsettled() or "schema" in one.table:
        return
    wanted = placeholders(one.method.endpoint)
    given = {spelled(place, value): place for place, value in one.arguments if place[0] == "path"}
    for name in dict.fromkeys(wanted):
        if name not in given:
            yield Flaw(
                place=("path", name),
                message=f"`{{{name}}}` of the endpoint has no argument",
                remedy=f"write [path.{name}]",
            )
    for name, place in given.items():
        if name not in wanted:
            yield Flaw(
                place=place,
                message=f"the endpoint has no `{{{name}}}`",
                remedy=f"use [query.{place[1]}], or add it to the endpoint",
            )
    for place, value in one.arguments:
        if place[0] == "path" and value.get("required") is False and one.mapped is False:
            yield Flaw(
                place=(*place, "required"),
                message="it may be optional only where a mapper finds its value",
                remedy="leave `required` out, or register a mapper",
            )


@TOGETHER.rule("argument-path", "docsmd")
def _whole_paths(one: Described) -> Iterator[Flaw]:
    schema = one.table.get("schema")
    if one.method is None or not isinstance(schema, dict):
        return
    properties = schema.get("properties")
    for name in dict.fromkeys(placeholders(one.method.endpoint)):
        if not isinstance(properties, dict) or name not in properties:
            yield Flaw(
                place=("schema", "properties", name),
                message=f"`{{{name}}}` of the endpoint has no argument",
                remedy=f"write [schema.properties.{name}]",
            )


@TOGETHER.rule("argument-clash", "docsmd")
def _clash(one: Described) -> Iterator[Flaw]:
    keys: dict[str, Place] = {}
    for place, _ in one.arguments:
        known = keys.setdefault(place[1], place)
        if known != place:
            yield Flaw(
                place=place,
                message=f"`{place[1]}` is both in {known[0]} and in {place[0]}",
                remedy=f'give one of them a different key and `name = "{place[1]}"`',
            )
    aliases: dict[str, Place] = {}
    for place, value in one.arguments:
        for alias in aliases_of(value):
            known = aliases.setdefault(alias, place)
            taken = keys.get(alias) or (known if known != place else None)
            if taken:
                yield Flaw(
                    place=(*place, "aliases"),
                    message=f"the alias `{alias}` is {taken[0]}.{taken[1]} already",
                    remedy="leave it out",
                )
    yield from _sent_twice(one)


def _sent_twice(one: Described) -> Iterator[Flaw]:
    """Two values under one of the provider's names: the last would win, or both be sent."""
    sent: dict[tuple[str, str], str] = {}
    if one.method:
        sent = {("query", name): "the endpoint" for name, _ in one.method.endpoint.query}
        if one.method.lists:
            asks = one.method.paging.ask.items()
            sent |= {("query", name): f"paging.ask.{key}" for key, name in asks}
    keys: set[str] = set()
    for place, value in one.arguments:
        name = spelled(place, value)
        known = sent.setdefault((place[0], name), ".".join(place))
        if known != ".".join(place) and place[1] not in keys:
            yield Flaw(
                place=place,
                message=f"`{name}` of the {place[0]} is sent for {known} already",
                remedy="leave one of them out",
            )
        keys.add(place[1])


@TOGETHER.rule("argument-reserved", "paging")
def _reserved(one: Described) -> Iterator[Flaw]:
    taken = _taken(one)
    for place, value in one.arguments:
        names = [place[1], *(aliases_of(value))]
        for name in names:
            if name in taken:
                yield Flaw(
                    place=place,
                    message=f"`{name}` is added to this tool by itself",
                    remedy="leave it out, or give it another key with `name`",
                )


def _taken(one: Described) -> set[str]:
    """Return the arguments that the tool has by itself."""
    if one.method is None:
        return set()
    taken = {"limit", "next_cursor"} if one.method.lists else set()
    single = one.method.method == "get" and one.method.endpoint.receive.as_ == "json"
    return taken | {"fields"} if one.method.lists or single else taken


@TOGETHER.rule("argument-mapper", "mappers")
def _unread(one: Described) -> Iterator[Flaw]:
    """What a mapper is told may be what holds it back from destroying something."""
    if one.mapped is not False or one.method is None:
        return
    for place, _ in one.arguments:
        if place[0] == "mapper" and place[1] not in _taken(one):
            key = f"{one.method.resource}.{one.method.method}"
            yield Flaw(
                place=place,
                message=f"[mapper.{place[1]}] is read by no one",
                remedy=f"register a mapper for {key!r} with load_adapter(mappers=…), "
                "or place it in query or body",
            )
