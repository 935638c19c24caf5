"""Labels: a link in the shipment, and the document behind it on a host of its own."""

from __future__ import annotations

import base64
from urllib.parse import parse_qsl, urlsplit

from crossdock.adapter import (
    Call,
    Conflict,
    Context,
    Outcome,
    UpstreamFailure,
    UpstreamReply,
    UpstreamRequest,
    one_segment,
)

_TYPES = {"PDF": "application/pdf", "PNG": "image/png"}
_ENDS = {"PDF": b"%%EOF", "PNG": b"IEND"}  # near the end of every whole document of its kind


async def label(call: Call, context: Context) -> Outcome:
    """Read the label of a bought shipment as a document."""
    path = f"/shipments/{one_segment(call.path['id'])}"
    kind = call.mapper.get("format", "PDF")
    shipment = await context.fetch(path)
    if not shipment.get("postage_label"):
        raise Conflict("This shipment has no label: it is not bought. See easypost_shipments_buy.")
    if not _link(shipment, kind):
        # EasyPost converts a label when it is asked for another format, and keeps it.
        shipment = await context.fetch(f"{path}/label", file_format=kind)
    reply = await context.send(_request(_link(shipment, kind), context))
    return Outcome(content=(_block(reply, kind, call.path["id"]),), rate=reply.rate)


def _link(shipment: dict[str, dict[str, str]], kind: str) -> str:
    found = shipment["postage_label"]
    own = found.get("label_url") or ""
    if urlsplit(own).path.lower().endswith(f".{kind.lower()}"):
        return own
    return found.get(f"label_{kind.lower()}_url") or ""


def _request(link: str, context: Context) -> UpstreamRequest:
    host = str(context.settings["files_url"]).rstrip("/")
    if not link.startswith(f"{host}/"):
        raise UpstreamFailure(
            "upstream_malformed",
            "The label lies on a host that this account does not know; its operator may set "
            "`files_url` to where EasyPost keeps labels.",
        )
    parts = urlsplit(link.removeprefix(host))
    return UpstreamRequest(
        verb="GET", path=parts.path, query=tuple(parse_qsl(parts.query)), host="files"
    )


def _block(reply: UpstreamReply, kind: str, id: str) -> dict[str, object]:
    given = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != _TYPES[kind] or not reply.body:
        raise UpstreamFailure(
            "upstream_malformed",
            f"The label is {given or 'of no known type'}, where {_TYPES[kind]} belongs.",
        )
    if _ENDS[kind] not in reply.body[-1024:]:
        raise UpstreamFailure("upstream_malformed", f"The label is no whole {kind}; try again.")
    data = base64.b64encode(reply.body).decode()
    if kind == "PNG":
        return {"type": "image", "data": data, "mimeType": given}
    uri = f"crossdock://easypost/shipments/{one_segment(id)}/label.pdf"
    return {"type": "resource", "resource": {"uri": uri, "mimeType": given, "blob": data}}
