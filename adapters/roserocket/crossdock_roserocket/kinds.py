"""Which kinds of record a call may meet: those of its server's `objects`, all where it names none.

What lies outside is answered like what does not exist, through every tool.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from crossdock.adapter import Context, InvalidArguments, UpstreamFailure, decode
from crossdock_roserocket.catalogue import CATALOGUE, DEFAULT_KEY, key_of, plain


def allowed(context: Context) -> frozenset[str] | None:
    """Return the object keys that the server may see, None for all."""
    if context.objects is None:
        return None
    spelled = {plain(key): key for key in CATALOGUE}
    return frozenset(spelled.get(plain(one), one) for one in context.objects)


def is_hidden(context: Context, key: object) -> bool:
    """Tell whether records of this key do not exist for the call."""
    keys = allowed(context)
    return keys is not None and key not in keys


def asked_key(context: Context, text: str, argument: str) -> str:
    """Return the provider's spelling of a key. Raises InvalidArguments."""
    return key_of(text, argument, allowed(context))


def key_or_default(
    context: Context, given: str | None, argument: str
) -> tuple[str, tuple[str, ...]]:
    """Return the object key; if none was given `order`, or the only one, with a note that says so.

    Raises InvalidArguments.
    """
    if given is not None:
        return asked_key(context, given, argument), ()
    keys = allowed(context)
    default = DEFAULT_KEY
    if keys is not None and DEFAULT_KEY not in keys:
        if len(keys) != 1:
            raise InvalidArguments(argument, f"is required: one of {', '.join(sorted(keys))}")
        (default,) = keys
    return default, (f"{argument} was not given; {default} was assumed.",)


def no_record(record_id: str, failure: UpstreamFailure | None = None) -> UpstreamFailure:
    """Return the failure for an id that names nothing, or nothing that this call may meet."""
    words = (
        f"No record has the id {record_id!r}. Find it by the number that people use with "
        "get_single_roserocket_objects_external_by_id, or by its fields with "
        "list_all_roserocket_objects."
    )
    if failure is None:
        return UpstreamFailure("not_found", words, status=404)
    return UpstreamFailure("not_found", words, status=404, rate=failure.rate)


def shown(context: Context, raw: msgspec.Raw) -> msgspec.Raw:
    """Return a record without the connected records that the call may not meet."""
    keys = allowed(context)
    if keys is None:
        return raw
    record = decode(raw)
    kept = _without(record, keys)
    return raw if kept == record else msgspec.Raw(msgspec.json.encode(kept))


def _without(value: Any, keys: frozenset[str]) -> Any:
    if isinstance(value, list):
        return [_without(one, keys) for one in value if not _foreign(one, keys)]
    if isinstance(value, Mapping):
        return {name: _without(one, keys) for name, one in value.items() if not _foreign(one, keys)}
    return value


def _foreign(value: Any, keys: frozenset[str]) -> bool:
    return (
        isinstance(value, Mapping)
        and isinstance(value.get("objectKey"), str)
        and value["objectKey"] not in keys
    )
