"""Body arguments → the bytes of a request: JSON, a form or parts, wrapped and completed."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, quote_plus

from crossdock.adapter.bodies import encode
from crossdock.adapter.pointers import steps
from crossdock.authoring import Argument, Call
from crossdock.errors import InvalidArguments

_BODILESS = frozenset({"GET", "DELETE"})
_FORM = "application/x-www-form-urlencoded"
Body = tuple[bytes | None, str]
"""The bytes, and their media type where it is not JSON."""


def body_of(call: Call) -> Body:
    """Return the body that a tool's `send` makes of a call's arguments. Raises InvalidArguments."""
    spec = call.tool.endpoint.send
    if spec.as_ == "none" or not (call.body or spec.constants or _declares_body(call)):
        return None, ""
    fields: Any = call.body
    if spec.as_ == "multipart":
        fields = {name: _part(call, name, value) for name, value in fields.items()}
    if spec.whole:
        fields = fields.get(spec.whole, [])
    for name in reversed(steps(spec.wrap)):
        fields = {name: fields}
    if spec.constants:
        fields = _merged(fields, spec.constants)
    if spec.as_ == "form":
        pairs = [f"{quote_plus(name)}={quote_plus(text)}" for name, text in _flat(fields)]
        return "&".join(pairs).encode(), _FORM
    if spec.as_ == "multipart":
        return _multipart(fields)
    return encode(fields), ""


def _declares_body(call: Call) -> bool:
    """A write without any of its fields is still `{}`; a call that knows no fields has no body."""
    return call.tool.endpoint.verb not in _BODILESS and any(
        argument.where == "body" for argument in call.tool.arguments
    )


def _merged(fields: Any, constants: dict[str, Any]) -> Any:
    if not isinstance(fields, dict):
        return fields
    return fields | {
        name: _merged(fields[name], value)
        if isinstance(value, dict) and isinstance(fields.get(name), dict)
        else value
        for name, value in constants.items()
    }


# --- forms -----------------------------------------------------------------------------------


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the fields of a form: `a[b]` for objects, `a[]` for lists, `a[0][b]` for lists of
    objects; files go by their plain name."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}[{key}]" if name else key)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            deep = isinstance(inner, dict | list)
            if isinstance(inner, File):
                yield name, inner
            else:
                yield from _flat(inner, f"{name}[{index if deep else ''}]")
    elif isinstance(value, str | File):
        yield name, value
    elif value is None:
        yield name, ""
    else:
        yield name, encode(value).decode()


# --- parts -----------------------------------------------------------------------------------


class File:
    """A file among the fields of a multipart body."""

    def __init__(self, name: str, kind: str, data: bytes) -> None:
        self.name = name
        self.kind = kind
        self.data = data


def _part(call: Call, name: str, value: Any) -> Any:
    for argument in call.tool.arguments:
        if argument.where == "body" and argument.name == name and argument.file:
            if isinstance(value, list):
                return [_file(argument, one) for one in value]
            return _file(argument, value)
    return value


def _file(argument: Argument, value: Any) -> File:
    try:
        data = base64.b64decode("".join(str(value).split()), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidArguments(argument.key, "is not base64 text") from None
    schema = argument.schema.get("items", argument.schema)
    kind = schema.get("contentMediaType") or "application/octet-stream"
    return File(argument.file, kind, data)


def _multipart(fields: Any) -> Body:
    parts = [_rendered(name, value) for name, value in _flat(fields)]
    # Made of what it separates: no part can hold it, and the same call sends the same bytes.
    boundary = hashlib.sha256(b"".join(parts)).hexdigest()[:32]
    line = f"--{boundary}".encode()
    body = b"".join(b"%b\r\n%b\r\n" % (line, part) for part in parts) + b"%b--\r\n" % line
    return body, f"multipart/form-data; boundary={boundary}"


def _rendered(name: str, value: str | File) -> bytes:
    head = f'Content-Disposition: form-data; name="{_quoted(name)}"'
    if isinstance(value, str):
        return f"{head}\r\n\r\n".encode() + value.encode()
    head += f'; filename="{_quoted(value.name)}"\r\nContent-Type: {value.kind}'
    return f"{head}\r\n\r\n".encode() + value.data


def _quoted(text: str) -> str:
    """Escape as browsers do: a quote or a line's end in a name would make a header of its own."""
    return quote(text, safe=" !#$&'()*+,-./:;<=>?@[]^_`{|}~")
