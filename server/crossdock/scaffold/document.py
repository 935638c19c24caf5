"""An OpenAPI document: read, its local references followed, its schemas turned into JSON Schema.

Nothing is fetched: a reference into another file or host is a reason to withhold.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec

from crossdock.errors import CrossdockError

_DROPPED = {"xml", "discriminator", "externalDocs", "deprecated", "readOnly", "writeOnly"}
_DROPPED |= {"nullable", "example", "$schema", "$id", "$anchor", "$defs", "definitions"}
_MANY = ("allOf", "anyOf", "oneOf", "prefixItems")
_ONE = ("not", "additionalProperties", "contains", "propertyNames", "if", "then", "else")
_DEEPEST = 40


class Unfit(CrossdockError):
    """Why an operation is withheld."""


def read_document(path: Path) -> dict[str, Any]:
    """Read an OpenAPI 3 document, JSON or YAML. Raises CrossdockError for anything else."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise CrossdockError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise CrossdockError(f"{path}: it is not UTF-8") from None
    document = _parsed(text, path)
    version = document.get("openapi") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not re.match(r"3\.[01]", str(version or "")):
        told = "Swagger 2.0" if isinstance(document, dict) and "swagger" in document else "it"
        raise CrossdockError(
            f"{path}: {told} is no OpenAPI 3.0 or 3.1 document (its `openapi` is {version!r}); "
            "convert it first"
        )
    if not isinstance(document.get("paths", {}), dict):
        raise CrossdockError(f"{path}: its `paths` is no object")
    return document


def _parsed(text: str, path: Path) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        pass
    import yaml  # type: ignore[import-untyped]  # only drafting needs it

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        """YAML's own dates and octals would be no JSON values."""

    Loader.yaml_implicit_resolvers = {
        first: [one for one in known if one[0] != "tag:yaml.org,2002:timestamp"]
        for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    try:
        return _plain(yaml.load(text, Loader))  # noqa: S506 - a subclass of SafeLoader
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        first = str(error).partition("\n")[0]
        raise CrossdockError(f"{path}: it is neither JSON nor YAML: {first}") from None


def _plain(value: Any, depth: int = 0) -> Any:
    """Return YAML's value as JSON has it: keys are strings."""
    if depth > 200:
        raise ValueError("it is nested too deeply")
    if isinstance(value, dict):
        return {
            ("true" if key is True else "false" if key is False else str(key)): _plain(
                one, depth + 1
            )
            for key, one in value.items()
        }
    if isinstance(value, list):
        return [_plain(one, depth + 1) for one in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return str(value)


class Document:
    """A document whose references are followed as they are met."""

    def __init__(self, root: dict[str, Any]) -> None:
        self.root = root
        self._old = str(root["openapi"]).startswith("3.0")

    def followed(self, value: Any) -> dict[str, Any]:
        """Return an object, or what its `$ref` leads to. Raises Unfit."""
        seen: list[str] = []
        while isinstance(value, dict) and isinstance(value.get("$ref"), str):
            reference = value["$ref"]
            if reference in seen:
                raise Unfit(f"a $ref leads in a circle: {reference}")
            seen.append(reference)
            beside = {name: one for name, one in value.items() if name != "$ref"}
            found = self._target(reference)
            value = {**found, **beside} if isinstance(found, dict) else found
        if not isinstance(value, dict):
            raise Unfit("what should be an object is none")
        return value

    def _target(self, reference: str) -> Any:
        if not reference.startswith("#"):
            raise Unfit(f"a remote $ref: {reference}")
        found: Any = self.root
        for part in reference[1:].split("/")[1:]:
            name = unquote(part).replace("~1", "/").replace("~0", "~")
            if isinstance(found, dict) and name in found:
                found = found[name]
            elif isinstance(found, list) and name.isdigit() and int(name) < len(found):
                found = found[int(name)]
            else:
                raise Unfit(f"a $ref to nothing: {reference}")
        return found

    # --- schemas -----------------------------------------------------------------------------

    def schema(self, value: Any, within: tuple[str, ...] = ()) -> dict[str, Any]:
        """Return a schema as JSON Schema 2020-12 has it, without references. Raises Unfit."""
        if value is True or value is None:
            return {}
        if value is False:
            return {"not": {}}
        if not isinstance(value, dict):
            raise Unfit("a schema that is no object")
        if len(within) > _DEEPEST:
            raise Unfit("a schema nested too deeply")
        reference = value.get("$ref")
        if isinstance(reference, str):
            if reference in within:
                raise Unfit(f"a recursive schema: {reference}")
            beside = {name: one for name, one in value.items() if name != "$ref"}
            target = self._target(reference)
            if beside and isinstance(target, dict):
                target = {**target, **beside}
            return self.schema(target, (*within, reference))
        return self._converted(value, (*within, ""))

    def _converted(self, value: Mapping[str, Any], within: tuple[str, ...]) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for name, one in value.items():
            if name in _DROPPED or name.startswith("x-"):
                continue
            if name in ("properties", "patternProperties"):
                given = one if isinstance(one, dict) else {}
                made[name] = {
                    key: self.schema(part, within)
                    for key, part in given.items()
                    if not (isinstance(part, dict) and part.get("readOnly") is True)
                }
            elif name in _MANY and isinstance(one, list):
                made[name] = [self.schema(part, within) for part in one]
            elif name == "items" or (name in _ONE and isinstance(one, dict)):
                made[name] = self.schema(one, within)
            elif name == "default" and one is None:
                continue
            else:
                made[name] = one
        self._examples(value, made)
        if self._old:
            _modern_bounds(made)
        made = _merged(made)
        _known_required(made)
        return _nullable(made, nullable=value.get("nullable") is True)

    def _examples(self, value: Mapping[str, Any], made: dict[str, Any]) -> None:
        given = made.pop("examples", None)
        listed = given if isinstance(given, list) else []
        if "example" in value:
            listed = [value["example"], *listed]
        if kept := [one for one in listed if without_null(one) is not None]:
            made["examples"] = [without_null(one) for one in kept]


def without_null(value: Any) -> Any:
    """Return a value without what TOML cannot say."""
    if isinstance(value, dict):
        return {name: without_null(one) for name, one in value.items() if one is not None}
    if isinstance(value, list):
        return [without_null(one) for one in value if one is not None]
    return value


def _modern_bounds(made: dict[str, Any]) -> None:
    """3.0 says by a boolean that a bound is exclusive."""
    for bound in ("Minimum", "Maximum"):
        exclusive = made.pop(f"exclusive{bound}", None)
        if exclusive is True and bound.lower() in made:
            made[f"exclusive{bound}"] = made.pop(bound.lower())
        elif exclusive is not None and not isinstance(exclusive, bool):
            made[f"exclusive{bound}"] = exclusive


def _merged(made: dict[str, Any]) -> dict[str, Any]:
    """Merge `allOf` where its parts are plain objects; keep it where they are not."""
    parts = made.get("allOf")
    if not isinstance(parts, list):
        return made
    rest = {name: one for name, one in made.items() if name != "allOf"}
    joined: dict[str, Any] = {}
    for part in [*parts, rest]:
        for name, one in part.items():
            if name == "properties":
                joined["properties"] = {**joined.get("properties", {}), **one}
            elif name == "required":
                joined["required"] = [*dict.fromkeys([*joined.get("required", []), *one])]
            elif name in _MANY and name in joined:
                return made
            elif name in ("description", "title", "examples") or joined.get(name, one) == one:
                joined[name] = one
            else:
                return made
    return joined


def _known_required(made: dict[str, Any]) -> None:
    """A required property that is only read is none that a request could have."""
    required, known = made.get("required"), made.get("properties")
    if isinstance(required, list) and isinstance(known, dict):
        kept = [name for name in required if name in known]
        made["required"] = kept
        if not kept:
            del made["required"]
    elif required is not None and not isinstance(required, list):
        del made["required"]  # draft 3 had a boolean here


def _nullable(made: dict[str, Any], *, nullable: bool) -> dict[str, Any]:
    values = made.get("enum")
    if isinstance(values, list) and None in values:
        nullable = True
        made["enum"] = [one for one in values if one is not None]
    kind = made.get("type")
    if (
        not nullable
        or kind is None
        or kind == "null"
        or (isinstance(kind, list) and "null" in kind)
    ):
        return made
    if "enum" in made:
        about: dict[str, Any] = {
            name: made.pop(name) for name in ("description", "examples") if name in made
        }
        return {**about, "anyOf": [made, {"type": "null"}]}
    made["type"] = [*([kind] if isinstance(kind, str) else kind), "null"]
    return made
