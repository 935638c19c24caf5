"""The pages of exact tools, written from the catalogue in the form of a file in docs/."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from crossdock_roserocket.catalogue import Field, ObjectKey

MORE = "other_fields"
_Argument = tuple[str, dict[str, Any]]


def page(key: ObjectKey) -> str:
    """Return the page of a key's tools."""
    return "\n\n".join(
        [
            f"# {key.plural}",
            *_section(f"list_all_roserocket_{key.plural}", _list_words(key), _list(key)),
            *_section(
                f"get_single_roserocket_{key.singular}_by_id",
                f"Read one {key.key} by its uuid or external id, exact and up to date.",
                _get(key),
            ),
            *_section(
                f"create_a_roserocket_{key.singular}",
                f"Create one {key.key}. Not safe to repeat; with another system's number use "
                f"roserocket_{key.plural}_upsert.",
                _writing(key, "create"),
            ),
            *_section(
                f"update_a_roserocket_{key.singular}_by_id",
                f"Change fields of one {key.key}. Fields left out stay, and lists are added to; "
                "notes say what changed.",
                [
                    ("path.id", _text(f"Uuid or external id of the {key.key} to change.")),
                    *_writing(key, "update"),
                ],
            ),
            *_section(
                f"delete_a_roserocket_{key.singular}_by_id",
                f"Delete one {key.key} for good and answer what it was.",
                [("path.id", _text(f"Uuid or external id of the {key.key} to delete."))],
            ),
            *_section(
                f"roserocket_{key.plural}_upsert",
                f"Create or update the {key.key} with this externalId. Safe to repeat.",
                _writing(key, "upsert"),
            ),
            "",
        ]
    )


def _section(tool: str, words: str, arguments: list[_Argument]) -> tuple[str, str, str]:
    block = "\n".join(line for name, table in arguments for line in _table(name, table))
    return f"## {tool}", words, f"```toml\n{block}\n```"


def _table(name: str, table: dict[str, Any]) -> Iterator[str]:
    yield f"[{name}]"
    for key, value in table.items():
        yield f"{key} = {_toml(value)}"


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(one) for one in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def _text(description: str) -> dict[str, Any]:
    return {"type": "string", "description": description}


# --- arguments -------------------------------------------------------------------------------


def _list_words(key: ObjectKey) -> str:
    about = f" ({key.about})" if key.about else ""
    return (
        f"Search records of kind {key.key}{about}, newest first. Search lags behind writes and "
        f"reaches 1,000 matches."
    )


def _list(key: ObjectKey) -> list[_Argument]:
    arguments: list[_Argument] = []
    for name, field in key.fields.items():
        if field.kind == "select":
            items = {"type": "string"} | ({} if field.open else {"enum": list(field.options)})
            words = {"type": "array", "items": items, "minItems": 1}
            arguments.append((f"mapper.{name}", words | {"description": f"Any of these {name}."}))
        elif field.kind == "link":
            arguments.append((f"mapper.{name}", _text(f"Uuid of its {field.to}.")))
    if key.key == "task":
        arguments.append(("mapper.user_group", _text("Its user group, by id or name.")))
    dates = 'a day, a moment, "today" or "yesterday"'
    return [
        *arguments,
        ("mapper.created_from", _text(f"Created then or later: {dates}.")),
        ("mapper.created_to", _text("Created then or before.")),
        (
            "mapper.filters",
            {
                "type": "object",
                "description": f"Further filters {{field: value}} on any field of {key.key}.",
            },
        ),
        (
            "body.order_by_path",
            _text(f"Field of {key.key} to order by; default createdAt.") | _camel("orderByPath"),
        ),
        (
            "body.order_by_direction",
            {"type": "string", "enum": ["asc", "desc"], "description": "desc if left out."}
            | _camel("orderByDirection"),
        ),
        ("body.timezone", _text("IANA zone of the days; default UTC.")),
        ("body.board_id", _text(f"Board of {key.key}; found if left out.") | _camel("boardId")),
    ]


def _camel(name: str) -> dict[str, Any]:
    """The provider's spelling, which is taken too."""
    return {"name": name, "aliases": [name]}


def _get(key: ObjectKey) -> list[_Argument]:
    links = [name for name, field in key.fields.items() if field.kind in ("link", "links")]
    example = f": {', '.join(links)}" if links else ""
    return [
        ("path.id", _text(f"Uuid or external id of the {key.key}.")),
        ("query.paths", _text(f"Connected records to include, comma separated{example}.")),
    ]


def _writing(key: ObjectKey, method: str) -> list[_Argument]:
    external = _text(f"The other system's number of this {key.key}.")
    if method == "upsert":
        external["required"] = True
    group = [("mapper.user_group", _text("User group by id or name."))] if key.key == "task" else []
    return [
        ("mapper.externalId", external),
        *(
            (f"mapper.{name}", _schema(name, field))
            for name, field in key.fields.items()
            if field.kind != "derived"
        ),
        *group,
        *(_changing(key) if method != "create" else ()),
        (
            f"mapper.{MORE}",
            {
                "type": "object",
                "description": f"Fields of {key.key} not listed here, as custom ones (…__c).",
            },
        ),
        (
            "body.paths",
            {
                "type": "array",
                "items": {"type": "string"},
                "description": f"Connected records of the {key.key} to show in the answer.",
            },
        ),
    ]


def _changing(key: ObjectKey) -> list[_Argument]:
    links = [name for name, field in key.fields.items() if field.kind == "links"]
    clear = {"type": "array", "items": {"type": "string"}}
    found = [("mapper.clear", clear | {"description": "Fields to empty or detach."})]
    if links:
        example = f'Ids to take out of lists, as {{"{links[0]}": ["<id>"]}}.'
        found.append(("mapper.remove", {"type": "object", "description": example}))
    return found


def _schema(name: str, field: Field) -> dict[str, Any]:
    about = field.about
    match field.kind:
        case "select":
            options = {"enum": list(field.options)} if not field.open else {}
            words = about or (f"As {', '.join(field.options)}." if field.open else f"New {name}.")
            return {"type": "string", **options, "description": words}
        case "link":
            return _text(about or f"Uuid of the {field.to}.")
        case "links":
            words = about or f"Uuids of each {field.to} to add."
            return {"type": "array", "items": {"type": "string"}, "description": words}
        case "number":
            return {"type": "number", "description": about or "A number."}
        case "toggle":
            return {"type": "boolean", "description": about or "Yes or no."}
        case "date":
            return _text(about or "A day, as 2026-11-21.")
        case "datetime":
            return _text(about or "Local date and time without zone, as 2026-11-21T14:00:00.")
        case _:
            return _text(about or "Text.")
