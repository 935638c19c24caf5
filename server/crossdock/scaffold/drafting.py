"""Operations of an OpenAPI document → drafted tools; what cannot be drafted says why."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from crossdock.adapter.naming import LONGEST_NAME, singular_of, tool_name
from crossdock.scaffold.document import Document, Unfit
from crossdock.scaffold.sample import value_of
from crossdock.scaffold.wording import identifier, named, shared_prefix, typed, words

VERBS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_SENT = {"get", "put", "post", "delete", "patch"}
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_SHORTEST, _LONGEST = 20, 1200
_LOOKING = {"search", "count", "list", "query", "find", "lookup"}
_FIELDS = {"application/x-www-form-urlencoded": "form", "multipart/form-data": "multipart"}
_IGNORED_HEADERS = {"accept", "content-type", "authorization"}  # OpenAPI says so itself


class Drafted(msgspec.Struct, kw_only=True):
    """One argument of a draft: where it goes, its key, its schema with a description."""

    where: str
    key: str
    schema: dict[str, Any]
    required: bool = False
    name: str = ""
    comma: bool = False


class Draft(msgspec.Struct, kw_only=True):
    """A tool as it was drafted. `said` is what is told of it in IMPORT.md."""

    endpoint: str
    resource: str
    method: str
    verb: str
    path: str
    tool: str
    prose: str
    arguments: list[Drafted]
    effect: str = ""
    send: dict[str, Any] = {}
    receive: dict[str, Any] = {}
    answer: Any = None
    said: list[str] = []


class Dropped(msgspec.Struct, frozen=True, kw_only=True):
    """An operation that is withheld."""

    endpoint: str
    reason: str


def drafts_of(document: Document, adapter: str) -> Iterator[Draft | Dropped]:
    """Yield a draft, or the reason why there is none, for every operation in its order."""
    paths = document.root.get("paths") or {}
    drafting = _Drafting(document, adapter, [*paths])
    for path, item in paths.items():
        try:
            item = document.followed(item)
        except Unfit as why:
            yield Dropped(endpoint=path, reason=str(why))
            continue
        for verb in VERBS:
            if verb in item:
                endpoint = f"{verb.upper()} {path}"
                try:
                    yield drafting.drafted(endpoint, verb, path, item)
                except Unfit as why:
                    yield Dropped(endpoint=endpoint, reason=str(why))


class _Drafting:
    def __init__(self, document: Document, adapter: str, paths: list[str]) -> None:
        self._document = document
        self._adapter = adapter
        self._paths = set(paths)
        self._title = str((document.root.get("info") or {}).get("title") or adapter)
        self._shared = shared_prefix(paths)
        self._names: set[str] = set()
        self._methods: set[tuple[str, str]] = set()

    def drafted(self, endpoint: str, verb: str, path: str, item: Mapping[str, Any]) -> Draft:
        if verb not in _SENT:
            raise Unfit(f"{verb.upper()} is no verb that a tool can have")
        operation = self._document.followed(item[verb])
        prose = self._prose(operation, endpoint)
        said: list[str] = []
        target, renamed = _renamed(path)
        arguments = self._parameters(operation, item, renamed, said)
        body, send = self._body(operation, verb)
        arguments += body
        arguments.sort(key=lambda one: one.where != "path")  # a placeholder keeps its name
        receive, answer = self._answer(operation)
        resource, method = self._place(verb, path, operation, answer)
        name = tool_name(self._adapter, resource, method, singular_of(resource))
        if len(name) > LONGEST_NAME:
            raise Unfit(f"its tool name {name} has {len(name)} characters, above {LONGEST_NAME}")
        _part_keys(arguments, reserved={"fields"} if method == "get" else set())
        self._names.add(name)
        self._methods.add((resource, method))
        return Draft(
            endpoint=endpoint,
            resource=resource,
            method=method,
            verb=verb.upper(),
            path=target,
            tool=name,
            prose=prose,
            arguments=arguments,
            effect=_effect(verb, method, path),
            send=send,
            receive=receive,
            answer=answer,
            said=said,
        )

    def _prose(self, operation: Mapping[str, Any], endpoint: str) -> str:
        parts = [words(operation.get("summary")), words(operation.get("description"))]
        told = [one if one[-1] in ".!?" else f"{one}." for one in dict.fromkeys(parts) if one]
        if not told:
            raise Unfit("it has no text: neither summary nor description")
        text = " ".join(told)
        if len(text) < _SHORTEST:
            text = f"{text} This is {endpoint} of {self._title}."
        return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1].rsplit(' ', 1)[0]}…"

    # --- arguments ---------------------------------------------------------------------------

    def _parameters(
        self,
        operation: Mapping[str, Any],
        item: Mapping[str, Any],
        renamed: Mapping[str, str],
        said: list[str],
    ) -> list[Drafted]:
        found: dict[tuple[str, str], dict[str, Any]] = {}
        for given in (item.get("parameters"), operation.get("parameters")):
            for one in given if isinstance(given, list) else ():
                parameter = self._document.followed(one)
                place, name = str(parameter.get("in")), str(parameter.get("name"))
                found[place, name] = parameter
        made = []
        for (place, name), parameter in found.items():
            required = parameter.get("required") is True
            if place == "cookie":
                raise Unfit(f"the parameter {name!r} is a cookie, which no tool can send")
            if place == "header":
                if required and name.lower() not in _IGNORED_HEADERS:
                    raise Unfit(f"the parameter {name!r} is a header, which no tool can send")
                said.append(f"without the header `{name}`")
            elif place == "path":
                if name in renamed:
                    made.append(self._path_argument(renamed[name], parameter))
            elif place == "query":
                made.append(self._query_argument(name, parameter, required=required))
            else:
                raise Unfit(f"the parameter {name!r} is in {place!r}, which no tool can send")
        known = {one.key for one in made if one.where == "path"}
        made += [
            Drafted(where="path", key=key, schema={"type": "string", "description": named(key)})
            for key in renamed.values()
            if key not in known
        ]
        return made

    def _path_argument(self, key: str, parameter: Mapping[str, Any]) -> Drafted:
        schema = self._described(parameter, key)
        if parameter.get("style", "simple") != "simple" or not _is_scalar(schema):
            raise Unfit(f"the path parameter {key!r} is no single value")
        return Drafted(where="path", key=key, schema=schema)

    def _query_argument(
        self, name: str, parameter: Mapping[str, Any], *, required: bool
    ) -> Drafted:
        if "schema" not in parameter and "content" in parameter:
            raise Unfit(f"the parameter {name!r} is a document within the query")
        key = identifier(name)
        schema = self._described(parameter, key)
        style, kinds = parameter.get("style", "form"), _kinds(schema)
        if style != "form" or "object" in kinds:
            raise Unfit(f"the parameter {name!r} is an object or of the style {style!r}")
        return Drafted(
            where="query",
            key=key,
            schema=schema,
            required=required,
            name="" if key == name else name,
            comma="array" in kinds and parameter.get("explode", True) is False,
        )

    def _described(self, parameter: Mapping[str, Any], key: str) -> dict[str, Any]:
        schema = self._document.schema(parameter.get("schema"))
        if "example" in parameter and "examples" not in schema and parameter["example"] is not None:
            schema["examples"] = [parameter["example"]]
        text = words(parameter.get("description")) or words(schema.get("description"))
        return typed({**schema, "description": text or named(key)})

    # --- bodies ------------------------------------------------------------------------------

    def _body(
        self, operation: Mapping[str, Any], verb: str
    ) -> tuple[list[Drafted], dict[str, Any]]:
        if "requestBody" not in operation:
            return [], {}
        body = self._document.followed(operation["requestBody"])
        content = body.get("content") or {}
        if not content:
            return [], {}
        if verb == "get":
            raise Unfit("a GET with a body")
        media, send = _sent_as(content)
        schema = self._document.schema((content[media] or {}).get("schema"))
        for key in ("oneOf", "anyOf"):
            if key in schema:
                raise Unfit(f"its body is a choice: a top-level {key}")
        if "allOf" in schema:
            raise Unfit("its body joins schemas that cannot be merged: a top-level allOf")
        if "properties" not in schema:
            return self._whole(schema, send, required=body.get("required") is True)
        wanted = schema.get("required", ())
        made = []
        for name, part in schema["properties"].items():
            key = identifier(name)
            about = {**part, "description": words(part.get("description")) or named(key)}
            one = Drafted(where="body", key=key, schema=typed(about), required=name in wanted)
            one.name = "" if key == name else name
            made.append(one)
        return made, send

    @staticmethod
    def _whole(
        schema: dict[str, Any], send: dict[str, Any], *, required: bool
    ) -> tuple[list[Drafted], dict[str, Any]]:
        if send:
            raise Unfit("its form has no fields")
        kinds = _kinds(schema)
        if kinds and not {"array", "object"} & set(kinds):
            raise Unfit("its body is a single value")
        key = "items" if "array" in kinds else "fields"
        about = {**schema, "description": words(schema.get("description")) or "The whole body."}
        if not kinds:
            about["type"] = "object"
        one = Drafted(where="body", key=key, schema=about, required=required)
        return [one], {"whole": key}

    def _answer(self, operation: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
        responses = operation.get("responses") or {}
        good = [str(code) for code in responses if str(code).startswith("2")] or ["default"]
        for code in good:
            if code not in responses:
                continue
            response = self._document.followed(responses[code])
            content = response.get("content") or {}
            if content:
                return self._read_as(content)
        return {}, None

    def _read_as(self, content: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
        for media, one in content.items():
            kind = _bare(media)
            if kind in {"*/*", "application/json"} or kind.endswith("+json"):
                return {}, self._sampled(one)
        kinds = [_bare(media) for media in content]
        if any(kind.endswith(("/xml", "+xml")) for kind in kinds):
            raise Unfit("it answers XML, which no tool can read")
        if any(kind.startswith("text/") for kind in kinds):
            return {"as": "text"}, "text"
        return {"as": "binary", "types": kinds}, b"%binary"

    def _sampled(self, media: Any) -> Any:
        given = media if isinstance(media, dict) else {}
        if "example" in given:
            return given["example"]
        try:
            return value_of(self._document.schema(given.get("schema")))
        except (Unfit, RecursionError):
            return {}  # what a provider answers need not fit into a tool

    # --- names -------------------------------------------------------------------------------

    def _place(
        self, verb: str, path: str, operation: Mapping[str, Any], answer: Any
    ) -> tuple[str, str]:
        segments = [one for one in path.split("/") if one][self._shared :] or ["root"]
        fixed = [identifier(one) for one in segments if "{" not in one] or ["root"]
        of_one = "{" in segments[-1]
        resource, method = "_".join(fixed), ""
        if of_one:
            method = {"get": "get", "put": "update", "patch": "update", "delete": "delete"}.get(
                verb, verb
            )
            if verb == "patch" and (resource, "update") in self._methods:
                method = "patch"
        elif verb == "get":
            method = "list" if _is_list(answer) else "show"
        elif verb == "post" and self._is_collection(path):
            method = "create"
        elif len(fixed) > 1 and verb == "post":
            resource, method = "_".join(fixed[:-1]), fixed[-1]
        else:
            method = {"post": "create", "delete": "delete_all"}.get(verb, verb)
        if self._is_taken(resource, method):
            method = identifier(str(operation.get("operationId") or f"{verb}_{fixed[-1]}"))
        number, first = 2, method
        while self._is_taken(resource, method):
            method = f"{first}_{number}"
            number += 1
        return resource, method

    def _is_collection(self, path: str) -> bool:
        below = re.compile(re.escape(path.rstrip("/")) + r"/\{[^{}/]+\}/?")
        return any(below.fullmatch(one) for one in self._paths)

    def _is_taken(self, resource: str, method: str) -> bool:
        name = tool_name(self._adapter, resource, method, singular_of(resource))
        return (resource, method) in self._methods or name in self._names


def _kinds(schema: Mapping[str, Any]) -> tuple[str, ...]:
    kind = schema.get("type", ())
    return (kind,) if isinstance(kind, str) else tuple(kind)


def _is_scalar(schema: Mapping[str, Any]) -> bool:
    return not {"object", "array"} & set(_kinds(schema))


def _bare(media: str) -> str:
    return media.partition(";")[0].strip().lower()


def _sent_as(content: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    for media in content:
        kind = _bare(media)
        if kind in ("application/json", "*/*") or kind.endswith("+json"):
            return media, {}
    for media in content:
        if _bare(media) in _FIELDS:
            return media, {"as": _FIELDS[_bare(media)]}
    raise Unfit(f"its body is {', '.join(content)}, a media type that no tool can send")


def _is_list(answer: Any) -> bool:
    if isinstance(answer, dict):
        return sum(isinstance(one, list) for one in answer.values()) == 1
    return isinstance(answer, list)


def _effect(verb: str, method: str, path: str) -> str:
    if method in ("list", "get", "create", "update", "delete"):
        return ""
    last = identifier(path.rstrip("/").rpartition("/")[2])
    if verb == "get" or (verb == "post" and last in _LOOKING):
        return "read"
    return "destructive" if verb == "delete" else ""


def _renamed(path: str) -> tuple[str, dict[str, str]]:
    """Return a path with placeholders that a tool can have, and what they were called."""
    found: dict[str, str] = {}

    def placed(match: re.Match[str]) -> str:
        key = first = identifier(match[1])
        number = 2
        while key in found.values() and found.get(match[1]) != key:
            key = f"{first}_{number}"
            number += 1
        found[match[1]] = key
        return f"{{{key}}}"

    target = _PLACEHOLDER.sub(placed, path)
    if "?" in target or "#" in target or not target.startswith("/"):
        raise Unfit("its path is none that can be sent")
    return target, found


def _part_keys(arguments: list[Drafted], reserved: set[str]) -> None:
    """Give each argument a key of its own: a model sees one flat set."""
    taken = set(reserved)
    for one in arguments:
        first, number = one.key, 2
        if one.key in taken:
            one.key = f"{one.where}_{first}"
        while one.key in taken:
            one.key = f"{one.where}_{first}_{number}"
            number += 1
        if one.key != first and not one.name and one.where != "path":
            one.name = first
        taken.add(one.key)
