"""Rules for JSON Schema in pages: keys, forms, references; and for the `[defs]` of a page."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import jsonschema_rs

from crossdock.adapter.described import DEFS, Definitions, near_key
from crossdock.adapter.docs import OURS
from crossdock.adapter.findings import Flaw, Place, Stage
from crossdock.adapter.schema import DIALECT, KEYWORDS, is_keyword, subschemas

DEFINITIONS = Stage()


@DEFINITIONS.rule("argument-schema", "docsmd")
def _definition(page: Definitions) -> Iterator[Flaw]:
    for name, schema in page.defs.items():
        if isinstance(schema, dict):
            yield from wrong_schema(("defs", name), schema, page.defs)
        else:
            yield _no_schema(("defs", name), f"write a table, as [defs.{name}]")


@DEFINITIONS.rule("argument-key", "docsmd")
def _definition_key(page: Definitions) -> Iterator[Flaw]:
    for name, schema in page.defs.items():
        if isinstance(schema, dict):
            yield from unknown_keys(("defs", name), schema, own=False)


def unknown_keys(place: Place, value: Mapping[str, Any], *, own: bool) -> Iterator[Flaw]:
    """Tell of every key of a schema, and of those in it, that nobody knows."""
    for inner, part in subschemas(place, value):
        for key in part:
            if is_keyword(key) or (own and inner == place and key in OURS):
                continue
            near = near_key(key) if own and inner == place else _near_keyword(key)
            hint = f"did you mean `{near}`?" if near else "leave it out, or begin it with x-"
            if key in OURS:
                hint = "it is a key of an argument itself, not of what is in it"
            yield Flaw(
                place=(*inner, key), message=f"`{key}` is no key of an argument", remedy=hint
            )


def _near_keyword(key: str) -> str:
    near = difflib.get_close_matches(key, KEYWORDS, 1)
    return near[0] if near else ""


@cache
def _metaschema() -> Any:
    return jsonschema_rs.Draft202012Validator({"$ref": DIALECT})


def wrong_schema(
    place: Place, schema: dict[str, Any], defs: Mapping[str, Any] | None
) -> Iterator[Flaw]:
    """Tell of everything that is no JSON Schema, and of references that lead to nothing.

    `defs` None: nobody knows what is defined.
    """
    told: set[Place] = set()
    if not jsonschema_rs.meta.is_valid({**schema, "$schema": DIALECT}):
        for error in _metaschema().iter_errors(schema):
            where = (*place, *(str(step) for step in error.instance_path))
            if where not in told:
                told.add(where)
                yield _no_schema(where, _brief(error.message))
        return
    for inner, part in subschemas(place, schema):
        yield from _loose_ends(inner, part, defs)


def _loose_ends(
    place: Place, part: Mapping[str, Any], defs: Mapping[str, Any] | None
) -> Iterator[Flaw]:
    reference = part.get("$ref")
    if isinstance(reference, str) and defs is not None and not _leads_somewhere(reference, defs):
        known = ", ".join(f"#/$defs/{name}" for name in defs) or "none is defined"
        yield Flaw(
            place=(*place, "$ref"),
            message=f"{reference!r} leads to nothing",
            remedy=f"define it as [defs.NAME] before the first heading; known: {known}",
        )
    if part.get("enum") == []:
        yield _no_schema((*place, "enum"), "no value fits an empty enum")
    patterns = [("pattern", part.get("pattern"))]
    patterns += [("patternProperties", one) for one in part.get("patternProperties") or ()]
    for key, pattern in patterns:
        if isinstance(pattern, str) and (why := _wrong_pattern(pattern)):
            yield _no_schema((*place, key), why)


def _leads_somewhere(reference: str, defs: Mapping[str, Any]) -> bool:
    if not reference.startswith(DEFS):
        return False
    return reference.removeprefix(DEFS).partition("/")[0] in defs


def _wrong_pattern(pattern: str) -> str:
    try:
        jsonschema_rs.Draft202012Validator({"pattern": pattern})
    except (jsonschema_rs.ValidationError, ValueError):
        return f"{pattern!r} is no regular expression"
    return ""


def _brief(message: str) -> str:
    first = message.splitlines()[0]
    return f"{first[:200]}…" if len(first) > 200 else first


def _no_schema(place: Place, why: str) -> Flaw:
    return Flaw(
        place=place,
        message=f"the JSON Schema is not valid: {why}",
        remedy="write it by JSON Schema 2020-12",
    )
