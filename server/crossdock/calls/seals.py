"""What a scheme that signs each request may do to it: add headers and query pairs, nothing else."""

from __future__ import annotations

from collections.abc import Mapping

from crossdock.authoring import Outgoing
from crossdock.errors import BadToolOutput


def sealed(request: Outgoing, signed: object) -> tuple[str, Mapping[str, str]]:
    """Return URL and headers of a signed request. Raises BadToolOutput for one that is another."""
    if not isinstance(signed, Outgoing):
        raise _changed(f"gave {type(signed).__name__}")
    for name in ("verb", "body", "settings"):
        if getattr(signed, name) != getattr(request, name):
            raise _changed(f"changed the {name}")
    if signed.url != request.url:
        mark = "&" if "?" in request.url else "?"
        more = signed.url.removeprefix(request.url)
        if not isinstance(signed.url, str) or not signed.url.startswith(f"{request.url}{mark}"):
            raise _changed("changed the URL")
        if not more.isascii() or not more.isprintable() or set(more[1:]) & {"#", " ", "?"}:
            raise _changed("added what is no query")
    given = {name.lower(): value for name, value in request.headers.items()}
    seen: set[str] = set()
    for name, value in signed.headers.items():
        _check_header(name, value)
        if given.get(name.lower(), value) != value or name.lower() in seen:
            raise _changed(f"changed the header {name}")
        seen.add(name.lower())
    if missing := given.keys() - seen:
        raise _changed(f"took away the header {min(missing)}")
    return signed.url, signed.headers


def _check_header(name: object, value: object) -> None:
    plain = isinstance(name, str) and isinstance(value, str)
    if not plain or not f"{name}{value}".isprintable() or not str(name).isascii():
        raise _changed("added a header that cannot be sent")
    if str(name).lower() in ("host", "content-length", "transfer-encoding", "connection"):
        raise _changed(f"added the header {name}, which is not a scheme's to say")


def _changed(what: str) -> BadToolOutput:
    return BadToolOutput(
        f"The adapter's sign_request {what}; it may add headers and query pairs, and change "
        "nothing else. Nothing was sent."
    )
