"""What a document says, as a tool says it: names, texts, and schemas that say what they take."""

from __future__ import annotations

import re
import unicodedata
from typing import Any


def identifier(text: str) -> str:
    """Return a name as `[a-z][a-z0-9_]*`: petId → pet_id, X-Filter → x_filter."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", plain)
    found = re.sub(r"[^a-z0-9]+", "_", parted.lower()).strip("_")
    if not found:
        return "value"
    return found if found[0].isalpha() else f"n_{found}"


def named(key: str) -> str:
    """Return a key in words: pet_id → Pet id."""
    text = key.replace("_", " ")
    return f"{text[:1].upper()}{text[1:]}."


def words(text: Any) -> str:
    """Return a text of the document as one line that holds no Markdown heading or fence."""
    flat = " ".join(text.split()) if isinstance(text, str) else ""
    return re.sub(r"`{3,}|^#+\s*", "", flat).strip()


def typed(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema that says what it takes, so that no host refuses it."""
    if {"type", "enum", "const", "anyOf", "oneOf", "allOf"} & schema.keys():
        return schema
    if "properties" in schema or "additionalProperties" in schema:
        return {"type": "object", **schema}
    if "items" in schema:
        return {"type": "array", **schema}
    return {"type": ["string", "number", "boolean"], **schema}


def shared_prefix(paths: list[str]) -> int:
    """Return how many leading segments, as `/api/v1`, say nothing because all paths have them."""
    parted = [[one for one in path.split("/") if one] for path in paths]
    count = 0
    while parted and all(len(one) > count + 1 for one in parted):
        first = parted[0][count]
        plain = re.fullmatch(r"v\d+(\.\d+)?|api|rest", first, re.IGNORECASE)
        if not plain or any(one[count] != first for one in parted):
            break
        count += 1
    return count
