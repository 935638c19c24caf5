"""Rules for one argument as it is written: place, name, keys, text, type, schema, style, match."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from crossdock.adapter.described import DEFS, IDENTIFIER, Described
from crossdock.adapter.docs import OURS, PLACES, schema_of
from crossdock.adapter.findings import Flaw, Place, Stage
from crossdock.adapter.rules.schema_rules import unknown_keys, wrong_schema

WRITTEN = Stage()
_TYPED = ("type", "enum", "const", "$ref", "anyOf", "oneOf", "allOf", "not", "$dynamicRef")
_TEXTS = ("name", "hint", "file")


@WRITTEN.rule("argument-place", "docsmd")
def _place(one: Described) -> Iterator[Flaw]:
    for where, given in one.table.items():
        if where == "schema":
            yield from _whole(one, given)
        elif where not in PLACES:
            near = difflib.get_close_matches(where, [*PLACES, "schema"], 1)
            hint = f"did you mean {near[0]}? Use" if near else "use"
            yield Flaw(
                place=(where,),
                message=f"`{where}` is no place for an argument",
                remedy=f"{hint} path, query, body or mapper",
            )
        elif not isinstance(given, dict):
            yield Flaw(
                place=(where,), message=f"`{where}` is no table", remedy=f"write [{where}.NAME]"
            )
        else:
            for key, value in given.items():
                if not isinstance(value, dict):
                    yield Flaw(
                        place=(where, key),
                        message="an argument is a table",
                        remedy=f"write [{where}.{key}]",
                    )
    if one.method and one.method.endpoint.verb == "GET" and one.table.get("body"):
        yield Flaw(
            place=("body",),
            message="a GET sends no body",
            remedy="use [query.…] or [mapper.…]",
        )


def _whole(one: Described, schema: Any) -> Iterator[Flaw]:
    place = ("schema",)
    if not isinstance(schema, dict) or schema.get("type") != "object":
        yield Flaw(
            place=place, message="a whole schema is an object", remedy='write type = "object"'
        )
    elif others := [name for name in one.table if name != "schema"]:
        yield Flaw(
            place=(others[0],),
            message=f"beside [schema] there is no [{others[0]}]",
            remedy="what fits a {placeholder} goes to the path, the rest to query or body",
        )
    elif one.method and one.method.lists:
        yield Flaw(
            place=place,
            message="a list tool pages, so it cannot have a whole [schema]",
            remedy="write [query.…] or [body.…]",
        )


@WRITTEN.rule("argument-name", "docsmd")
def _name(one: Described) -> Iterator[Flaw]:
    for place, _ in one.arguments:
        if not IDENTIFIER.fullmatch(place[1]):
            yield Flaw(
                place=place,
                message=f"`{place[1]}` is not an identifier",
                remedy=f'write letters, digits and _, with `name = "{place[1]}"`',
            )


@WRITTEN.rule("argument-key", "docsmd")
def _key(one: Described) -> Iterator[Flaw]:
    for place, value in one.arguments:
        yield from unknown_keys(place, value, own=True)
    if isinstance(whole := one.table.get("schema"), dict):
        yield from unknown_keys(("schema",), whole, own=False)


@WRITTEN.rule("toml-type", "docsmd")
def _own_types(one: Described) -> Iterator[Flaw]:
    for place, value in one.arguments:
        for key, given in value.items():
            if key in OURS and (wanted := _wanted(key, given)):
                yield Flaw(
                    place=(*place, key),
                    message=f"{given!r} is wrong for `{key}`",
                    remedy=f"write {wanted}",
                )


def _wanted(key: str, given: Any) -> str:
    texts = isinstance(given, list) and all(isinstance(one, str) for one in given)
    if key in _TEXTS and not (isinstance(given, str) and given):
        return "a text"
    if key == "free" and not isinstance(given, bool):
        return "true or false"
    if key == "required" and not (isinstance(given, bool) or texts):
        return "true, false, or a list of property names"
    if key == "aliases" and not texts:
        return "a list of texts"
    if key == "match" and not (texts or isinstance(given, str)):
        return "a list of fields"
    return ""


@WRITTEN.rule("argument-text", "docsmd")
def _text(one: Described) -> Iterator[Flaw]:
    for place, value in one.arguments:
        text = value.get("description")
        empty = text is None or (isinstance(text, str) and not text.strip())
        if empty and not one.meant(value, "description"):
            yield Flaw(
                place=(*place, "description"),
                message=f"`{place[1]}` has no description",
                remedy="say what the model should give",
            )


@WRITTEN.rule("argument-type", "docsmd")
def _type(one: Described) -> Iterator[Flaw]:
    for place, value in one.arguments:
        if not set(_TYPED) & set(value) and not one.meant(value, *_TYPED):
            yield Flaw(
                place=(*place, "type"),
                message=f"`{place[1]}` has no type",
                remedy='write `type = "string"`, or an enum, a const, a $ref or a combination',
            )


@WRITTEN.rule("argument-schema", "docsmd")
def _schema(one: Described) -> Iterator[Flaw]:
    for place, value in one.arguments:
        yield from wrong_schema(place, schema_of(value), None if one.unread else one.defs)
    if isinstance(whole := one.table.get("schema"), dict):
        own = whole.get("$defs", {})
        yield from wrong_schema(("schema",), whole, own if isinstance(own, dict) else {})


@WRITTEN.rule("argument-style", "docsmd")
def _style(one: Described) -> Iterator[Flaw]:
    for place, value in one.arguments:
        style = value.get("style", "")
        if style not in ("", "comma"):
            yield Flaw(
                place=(*place, "style"),
                message=f"style {style!r} is unknown",
                remedy='the only one is "comma"',
            )
        elif style and (place[0] != "query" or not _is_array(value, one.defs)):
            yield Flaw(
                place=(*place, "style"),
                message="only an array in the query can be joined by commas",
                remedy="leave `style` out",
            )


def _is_array(value: Mapping[str, Any], defs: Mapping[str, Any]) -> bool:
    reference = value.get("$ref")
    if isinstance(reference, str) and "type" not in value:
        value = defs.get(reference.removeprefix(DEFS)) or {"type": "array"}
    kind = value.get("type")
    if kind is None:
        return True
    return kind == "array" or (isinstance(kind, list) and "array" in kind)


@WRITTEN.rule("argument-match", "docsmd")
def _match(one: Described) -> Iterator[Flaw]:
    for place, value in one.arguments:
        if "match" not in value or _refused(one, place):
            continue
        if place[0] not in ("query", "path"):
            yield _no_match(place, "a value of the body or for a mapper is no filter of records")
        elif one.method and not (one.method.lists or one.method.endpoint.one):
            yield _no_match(place, "this tool answers no records among which to look")


def _refused(one: Described, place: Place) -> bool:
    """Whether the argument has no business there at all, which is told by another rule."""
    if place[0] == "mapper":
        return one.mapped is False
    return place[0] == "body" and one.method is not None and one.method.endpoint.verb == "GET"


def _no_match(place: Place, why: str) -> Flaw:
    return Flaw(place=(*place, "match"), message=why, remedy="leave `match` out")
