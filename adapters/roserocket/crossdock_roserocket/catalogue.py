"""What is documented about Rose Rocket's objects: keys, fields, options. The table is
catalogue.toml; nothing else in this package names a field's options.

The provider has no endpoint that lists its keys or fields, and organisations add their own. So a
key or a field that is not here is refused, unless it ends in __c; of a key without fields here
nothing is known, and any name passes.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Collection, Iterable
from importlib import resources
from typing import Literal

import msgspec

from crossdock.adapter import InvalidArguments

FieldKind = Literal[
    "text", "number", "toggle", "date", "datetime", "money", "select", "link", "links", "derived"
]
READ_ONLY = frozenset(
    {
        "id",
        "objectKey",
        "orgId",
        "fullId",
        "createdAt",
        "createdBy",
        "updatedAt",
        "updatedBy",
        "version",
    }
)
COMMON: dict[str, FieldKind] = {
    "id": "text",
    "fullId": "text",
    "externalId": "text",
    "source": "select",
    "createdAt": "datetime",
    "updatedAt": "datetime",
    "version": "number",
}
DEFAULT_KEY = "order"
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class Field(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A documented field."""

    kind: FieldKind = "text"
    about: str = ""
    options: tuple[str, ...] = ()
    default: str = ""
    to: str = ""
    open: bool = False
    any_case: bool = False


class ObjectKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A documented object type. `key` is filled in from the table's name."""

    plural: str
    key: str = ""
    prefix: str = ""
    about: str = ""
    fields: dict[str, Field] = {}

    @property
    def singular(self) -> str:
        """The key as part of a tool's name: `financial_line_item`."""
        return re.sub(r"([A-Z])", lambda found: "_" + found.group(1).lower(), self.key)


def _read() -> dict[str, ObjectKey]:
    text = (resources.files(__package__) / "catalogue.toml").read_text(encoding="utf-8")
    table = msgspec.convert(tomllib.loads(text), dict[str, ObjectKey])
    return {key: msgspec.structs.replace(found, key=key) for key, found in table.items()}


CATALOGUE = _read()


def plain(text: str) -> str:
    """Return what is left of a word when case, blanks, `_` and `-` do not count."""
    return re.sub(r"[\s_\-]+", "", text).casefold()


_KEYS = {plain(key): key for key in CATALOGUE} | {
    plain(found.plural): key for key, found in CATALOGUE.items()
}


def is_uuid(text: object) -> bool:
    """Tell whether this can be an id that Rose Rocket made."""
    return isinstance(text, str) and bool(_UUID.fullmatch(text))


def key_of(text: str, argument: str, among: Collection[str] | None = None) -> str:
    """Return the provider's spelling of an object key, whatever the case (`Order` → `order`).

    An organisation's own key (ending in __c) is sent as given. Only keys `among` these exist.
    Raises InvalidArguments.
    """
    word = text.strip()
    found = _KEYS.get(plain(word))
    if found is None and word.endswith("__c") and re.fullmatch(r"\w+", word):
        found = word
    if found is not None and (among is None or found in among):
        return found
    known = {name: key for name, key in _KEYS.items() if among is None or key in among}
    near = [known[one] for one in difflib.get_close_matches(plain(word), known, 3, 0.6)]
    hint = f" Did you mean {' or '.join(dict.fromkeys(near))}?" if near else ""
    keys = f"{', '.join(CATALOGUE)}; an organisation's own end in __c"
    if among is not None:
        keys = ", ".join(sorted(among))
    raise InvalidArguments(argument, f"Rose Rocket has no object key {text!r}.{hint} Keys: {keys}.")


def spelled(text: str) -> str:
    """Return the provider's spelling of an object key, for a server's `config.objects`."""
    return key_of(text, "objects")


def fields_of(key: str) -> dict[str, Field]:
    """Return the documented fields of a key; none for a key without a page."""
    found = CATALOGUE.get(key)
    return found.fields if found else {}


def option_of(key: str, field: str, value: str, argument: str, *, searching: bool = False) -> str:
    """Return the exact option for a select value, forgiving case and blanks.

    `searching`: it is looked for, not written. Raises InvalidArguments with the allowed values.
    """
    found = fields_of(key).get(field)
    if found is None or not found.options:
        return value
    for option in found.options:
        if plain(option) == plain(value):
            return value if found.any_case else option
    if found.open:
        return value
    raise InvalidArguments(argument, _no_option(key, field, value, found.options, searching))


def _no_option(key: str, field: str, value: str, options: Iterable[str], searching: bool) -> str:
    text = f"{value!r} is not a {field} of {key}; allowed: {', '.join(options)}."
    if searching:
        text += f" Filter by one or several of these, or leave {field} out to find all."
    elif field == "status" and key in ("order", "manifest", "task"):
        text += (
            " What happened on the way (a delay, a breakdown, an arrival) is not a status: "
            "log it with create_a_roserocket_event."
        )
    return text
