"""What a client accepts as an answer, read with lenience: proxies and hand-made clients differ."""

from __future__ import annotations

from functools import lru_cache

from crossdock.errors import Refused
from crossdock.model import Struct


class Accepts(Struct, frozen=True, kw_only=True):
    """Whether JSON and event streams are welcome."""

    json: bool
    events: bool


BOTH = Accepts(json=True, events=True)
_JSON = {"application/json", "application/*", "*/*"}
_EVENTS = {"text/event-stream", "text/*", "*/*"}


@lru_cache(maxsize=256)  # a few clients, and each says the same with every request
def accepted(accept: str | None) -> Accepts:
    """Read an Accept header; none at all welcomes everything. Raises Refused (406)."""
    if not accept or accept == "application/json, text/event-stream":
        return BOTH
    wanted = wanted_kinds(accept)
    found = Accepts(json=bool(wanted & _JSON), events=bool(wanted & _EVENTS))
    if not found.json and not found.events:
        raise Refused(406, "Accept application/json or text/event-stream.")
    return found


def wanted_kinds(accept: str) -> set[str]:
    """Return the media ranges of an Accept header that are not refused by a quality of zero."""
    ranges = [part.partition(";") for part in accept.lower().split(",")]
    return {kind.strip() for kind, _, rest in ranges if not _refused(rest)}


def streams_only(accept: str | None) -> None:
    """Raise Refused (406) unless the client accepts an event stream."""
    if not accepted(accept).events:
        raise Refused(406, "A GET answers with text/event-stream; accept it.")


def _refused(parameters: str) -> bool:
    """Whether the quality is zero, in any spelling."""
    for parameter in parameters.replace(" ", "").split(";"):
        if parameter.startswith("q="):
            return parameter[2:].rstrip("0").rstrip(".") in ("", "0")
    return False
