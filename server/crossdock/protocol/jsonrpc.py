"""JSON-RPC 2.0 envelopes: ids, codes, and what is a message at all."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from crossdock.errors import Refused
from crossdock.redaction import redactor

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
HEADER_MISMATCH = -32020
MISSING_CAPABILITY = -32021
UNSUPPORTED_VERSION = -32022

_INTEGER = re.compile(rb"-?\d{1,64}")
_Members = dict[str, msgspec.Raw]
_NOTHING: Mapping[str, msgspec.Raw] = {}
_MOST_IN_BATCH = 50


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A checked message. `id` is its JSON text, echoed as it came; None for a notification.

    `method` is empty for a response, which has a `result` or an `error`. Members of `params` and of
    its `_meta` stay undecoded.
    """

    id: bytes | None = None
    method: str = ""
    params: Mapping[str, msgspec.Raw] = _NOTHING
    meta: Mapping[str, msgspec.Raw] = _NOTHING
    result: msgspec.Raw | None = None
    error: msgspec.Raw | None = None

    @property
    def is_request(self) -> bool:
        """Whether an answer is due."""
        return self.id is not None and bool(self.method)


class _Envelope(msgspec.Struct, frozen=True):
    jsonrpc: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    id: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    method: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    params: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_envelope = msgspec.json.Decoder(_Envelope)
_members = msgspec.json.Decoder(_Members)
_text = msgspec.json.Decoder(str)
_batch = msgspec.json.Decoder(list[msgspec.Raw])


class Unreadable(Refused):
    """A message that is refused before it is known; carries its id where that can be read."""

    def __init__(self, code: int, message: str, id: bytes | None = None) -> None:
        super().__init__(400, message)
        self._code = code
        self.id = id

    @property
    def code(self) -> int:
        """The code that JSON-RPC has for it."""
        return self._code


def read_message(body: bytes | msgspec.Raw) -> Message:
    """Decode one message. Raises Unreadable: -32700 for no JSON, -32600 for no JSON-RPC."""
    try:
        envelope = _envelope.decode(body)
    except msgspec.ValidationError:
        raise Unreadable(INVALID_REQUEST, "A message must be a JSON object") from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise Unreadable(PARSE_ERROR, "The body is not valid JSON") from None
    try:  # members that nobody decodes are only skipped over by msgspec
        bytes(body).decode("utf-8")
    except UnicodeDecodeError:
        raise Unreadable(PARSE_ERROR, "The body is not valid UTF-8") from None
    id = _id(envelope)
    if envelope.jsonrpc is msgspec.UNSET or text_of(envelope.jsonrpc) != "2.0":
        raise Unreadable(INVALID_REQUEST, 'jsonrpc must be "2.0"', id)
    if envelope.method is msgspec.UNSET:
        if envelope.result is msgspec.UNSET and envelope.error is msgspec.UNSET:
            raise Unreadable(INVALID_REQUEST, "method is missing", id)
        return Message(id=id, result=_given(envelope.result), error=_given(envelope.error))
    method = text_of(envelope.method)
    if not method:
        raise Unreadable(INVALID_REQUEST, "method must be a string", id)
    params, meta = _params(envelope.params, id)
    return Message(id=id, method=method, params=params, meta=meta)


def read_batch(body: bytes) -> list[Message]:
    """Decode a batch. Raises Unreadable, without an id: it is refused as a whole."""
    try:
        parts = _batch.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise Unreadable(PARSE_ERROR, "The body is not valid JSON") from None
    if not parts:
        raise Unreadable(INVALID_REQUEST, "A batch must hold at least one message")
    if len(parts) > _MOST_IN_BATCH:
        raise Unreadable(INVALID_REQUEST, f"A batch may hold at most {_MOST_IN_BATCH} messages")
    try:
        return [read_message(part) for part in parts]
    except Unreadable as error:
        raise Unreadable(error.code, str(error)) from None


def is_batch(body: bytes) -> bool:
    """Whether a body is an array."""
    return body[:1] == b"[" or body.lstrip()[:1] == b"["


def _given(raw: msgspec.Raw | msgspec.UnsetType) -> msgspec.Raw | None:
    return None if raw is msgspec.UNSET else raw


def _id(envelope: _Envelope) -> bytes | None:
    if envelope.id is msgspec.UNSET:
        return None
    text = bytes(envelope.id)
    if text[:1] == b'"' and text_of(envelope.id) is not None:
        return text
    if _INTEGER.fullmatch(text):
        return text
    raise Unreadable(INVALID_REQUEST, "id must be a string or an integer")


def _params(
    raw: msgspec.Raw | msgspec.UnsetType, id: bytes | None
) -> tuple[Mapping[str, msgspec.Raw], Mapping[str, msgspec.Raw]]:
    if raw is msgspec.UNSET:
        return _NOTHING, _NOTHING
    params = _object(raw, "params", id)
    meta = params.get("_meta")
    if meta is None:
        return params, _NOTHING
    return params, _object(meta, "params._meta", id, INVALID_PARAMS)


def _object(
    raw: msgspec.Raw, name: str, id: bytes | None, code: int = INVALID_REQUEST
) -> Mapping[str, msgspec.Raw]:
    try:
        return _members.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        raise Unreadable(code, f"{name} must be an object", id) from None


def text_of(raw: msgspec.Raw) -> str | None:
    """Return a JSON string's text, None for anything else."""
    try:
        return _text.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return None


def result_bytes(id: bytes, result: bytes) -> bytes:
    """Return the response that carries a result."""
    return b'{"jsonrpc":"2.0","id":%b,"result":%b}' % (id, result)


def notification_bytes(method: str, params: bytes) -> bytes:
    """Return a notification; `params` is a JSON object."""
    return b'{"jsonrpc":"2.0","method":"%b","params":%b}' % (method.encode(), params)


def request_bytes(id: str, method: str, params: bytes) -> bytes:
    """Return a request to the client."""
    return b'{"jsonrpc":"2.0","id":"%b","method":"%b","params":%b}' % (
        id.encode(),
        method.encode(),
        params,
    )


def key_of(id: bytes | msgspec.Raw) -> str | int | None:
    """Return an id's value, equal for all its spellings; None for what cannot be an id."""
    try:
        value = msgspec.json.decode(id)
    except (msgspec.DecodeError, RecursionError):
        return None
    fits = isinstance(value, (str, int)) and not isinstance(value, bool)
    return value if fits else None


def refusal_bytes(refused: Refused, id: bytes | None) -> bytes:
    """Return the response to the message with this id, which may not pass."""
    if isinstance(refused, Unreadable):
        id = refused.id
    return error_bytes(id, refused.code, str(refused))


def error_bytes(
    id: bytes | None, code: int, message: str, data: dict[str, Any] | None = None
) -> bytes:
    """Return the response that carries an error; without an id when none can be read."""
    error: dict[str, Any] = {"code": code, "message": message}
    if data is not None:
        error["data"] = data
    encoded = redactor.clean_json(msgspec.json.encode(error))  # it may repeat what was sent
    if id is None:
        return b'{"jsonrpc":"2.0","error":%b}' % encoded
    return b'{"jsonrpc":"2.0","id":%b,"error":%b}' % (id, encoded)
