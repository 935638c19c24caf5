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
    ranges = [part.partition(";") for part in accept.lower().split(",")]
    wanted = {kind.strip() for kind, _, rest in ranges if not _refused(rest)}
    found = Accepts(json=bool(wanted & _JSON), events=bool(wanted & _EVENTS))
    if not found.json and not found.events:
        raise Refused(406, "Accept application/json or text/event-stream.")
    return found


def _refused(parameters: str) -> bool:
    """Whether the quality is zero, in any spelling."""
    for parameter in parameters.replace(" ", "").split(";"):
        if parameter.startswith("q="):
            return parameter[2:].rstrip("0").rstrip(".") in ("", "0")
    return False
