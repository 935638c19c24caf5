"""Keeps an account's own credentials out of its answers, should the provider repeat them.

Only this account's are looked for: whoever could ask about others' would learn from what is hidden.
Every answer is searched as bytes, undecoded, for each spelling of each secret.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from crossdock.adapter.manifest import Manifest
from crossdock.authoring import Outcome
from crossdock.redaction import MARK, spellings

_SHORTEST = 8  # a shorter one may well be an ordinary word of a record
_NOTE = f"A credential of this account stood in the provider's answer; it was replaced by {MARK}."


def secret_values(manifest: Manifest, values: Mapping[str, str]) -> list[str]:
    """Return those of an account's credentials that nobody may see."""
    known = manifest.credentials
    return [value for name, value in values.items() if name not in known or known[name].secret]


def searched(secrets: Iterable[str]) -> tuple[bytes, ...]:
    """Return what to look for: every spelling, the longest first."""
    ways = {way for secret in secrets if len(secret) >= _SHORTEST for way in spellings(secret)}
    return tuple(way.encode(errors="replace") for way in sorted(ways, key=len, reverse=True))


def without(outcome: Outcome, secrets: Sequence[bytes]) -> Outcome:
    """Return a finished outcome without these; the same one when it holds none."""
    data = outcome.data
    if not isinstance(data, bytes):
        raise TypeError("an outcome is finished before it is searched")
    found = [secret for secret in secrets if secret in data]
    if not found and not outcome.notes and not outcome.content:
        return outcome
    notes, content = _beside(outcome, secrets)
    if not found and notes == outcome.notes and content == outcome.content:
        return outcome
    return msgspec.structs.replace(
        outcome, data=_hidden(data, found), notes=(*notes, _NOTE), content=content
    )


def _beside(
    outcome: Outcome, secrets: Sequence[bytes]
) -> tuple[tuple[str, ...], tuple[Mapping[str, Any], ...]]:
    beside = msgspec.json.encode([outcome.notes, outcome.content])
    found = [secret for secret in secrets if secret in beside]
    if not found:
        return outcome.notes, outcome.content
    notes, content = msgspec.json.decode(_hidden(beside, found))
    return tuple(notes), tuple(content)


def _hidden(data: bytes, secrets: Sequence[bytes]) -> bytes:
    for secret in secrets:
        data = data.replace(secret, MARK.encode())
    try:
        msgspec.json.decode(data or b"null", type=msgspec.Raw)
    except msgspec.DecodeError:  # it stood there as a number, or as a part of one
        return msgspec.json.encode(MARK)
    return data
