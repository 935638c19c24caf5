"""Outcomes looked into, and given notes."""

from __future__ import annotations

from typing import Any

import msgspec

from crossdock.adapter import Outcome, UpstreamFailure, WriteOutcomeUnknown, decode


def answered(outcome: Outcome) -> Any:
    """Return the provider's answer as plain values."""
    return decode(outcome.data) if isinstance(outcome.data, msgspec.Raw) else outcome.data


def noted(outcome: Outcome, notes: tuple[str, ...]) -> Outcome:
    """Return the outcome with these notes before its own."""
    return msgspec.structs.replace(outcome, notes=notes + outcome.notes)


def lost(failure: UpstreamFailure, remedy: str) -> Exception:
    """Return what to raise for a write that may not be repeated blindly."""
    if failure.rejected or failure.status is not None:
        return failure
    return WriteOutcomeUnknown.after(failure, remedy)
