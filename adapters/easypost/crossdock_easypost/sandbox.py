"""EasyPost, as far as its documentation tells: for `crossdock demo`, `dev` and the tests."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from crossdock.testing.sandbox import Refusal, Sandbox, fields_of

_LABELS = "{origin}/v2/files/postage_label"
_PDF = b"%PDF-1.4\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n"
_PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
)


class Switches(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`elsewhere`: labels lie on a host that nobody declared; `buys_nothing`: it says yes."""

    elsewhere: bool = False
    buys_nothing: bool = False


def _pages(name: str) -> dict[str, Any]:
    return {
        "style": "keyset",
        "items": f"/{name}",
        "ask": {"after": "before_id", "limit": "page_size"},
        "tell": {"key": "/id", "more": "/has_more"},
    }


def _rate(number: int, shipment: int, price: str, service: str) -> dict[str, Any]:
    return {
        "id": f"rate_{shipment}{number}",
        "object": "Rate",
        "carrier": "USPS",
        "service": service,
        "rate": price,
        "currency": "USD",
        "delivery_days": 4 - number,
    }


def _shipment(number: int) -> dict[str, Any]:
    return {
        "id": f"shp_{number}",
        "object": "Shipment",
        "reference": f"A {number}",
        "status": "unknown",
        "tracking_code": None,
        "to_address": {"id": f"adr_{number}", "name": "Ada Quay", "city": "Reno", "zip": "89501"},
        "parcel": {"weight": 20.5},
        "rates": [
            _rate(1, number, "7.58", "GroundAdvantage"),
            _rate(2, number, "9.25", "Priority"),
        ],
        "selected_rate": None,
        "postage_label": None,
        "refund_status": None,
        "messages": [],
    }


sandbox = Sandbox(
    name="EasyPost sandbox",
    base="/v2",
    auth={"scheme": "basic", "username": "{api_key}", "password": ""},
    credentials={"api_key": "EZTKsandbox5f0c1b7e"},
    settings={"files_url": "{origin}/v2/files"},
    switches=Switches(),
)


def _sold() -> dict[str, Any]:
    sold = _shipment(45)
    label = {"label_url": f"{_LABELS}/shp_45.png", "label_pdf_url": None}
    return sold | {"selected_rate": sold["rates"][0], "postage_label": label}


shipments = sandbox.collection(
    "shipments",
    [_sold(), *(_shipment(number) for number in range(44, 0, -1))],
    paging=_pages("shipments"),
)
trackers = sandbox.collection(
    "trackers",
    [
        {
            "id": f"trk_{number}",
            "object": "Tracker",
            "tracking_code": f"EZ{number:09}",
            "carrier": "USPS",
            "status": "in_transit",
            "tracking_details": [{"status": "in_transit", "message": "Arrived"}],
        }
        for number in range(30, 0, -1)
    ],
    paging=_pages("trackers"),
    wrap="",
)
addresses = sandbox.collection(
    "addresses",
    [
        {"id": f"adr_{number}", "object": "Address", "street1": f"{number} Quay", "country": "US"}
        for number in range(25, 0, -1)
    ],
    paging=_pages("addresses"),
)


def _error(status: int, code: str, message: str) -> Refusal:
    return Refusal(status, {"error": {"code": code, "message": message, "errors": []}})


async def _given(request: web.Request, name: str) -> dict[str, Any]:
    fields = (await fields_of(request)).get(name)
    if not isinstance(fields, dict):
        raise _error(422, f"{name.upper()}.REQUIRED", f"Missing required parameter: {name}")
    return fields


def _shown(shipment: dict[str, Any], request: web.Request, **changes: str) -> dict[str, Any]:
    """A shipment as it is answered: its label has whole URLs."""
    label = shipment["postage_label"]
    if not label:
        return shipment
    switched = "https://elsewhere.example" if sandbox.switches.elsewhere else ""
    origin = switched or str(request.url.origin())
    links = {
        name: link and link.replace("{origin}", origin)
        for name, link in {**label, **changes}.items()
    }
    return {**shipment, "postage_label": links}


@sandbox.route("GET /shipments/{id}")
async def get_shipment(request: web.Request) -> Any:
    """Read one."""
    return _shown(shipments.find(request.match_info["id"]), request)


@sandbox.route("POST /shipments")
async def create_shipment(request: web.Request) -> Any:
    """Make a shipment with rates."""
    fields = await _given(request, "shipment")
    made = {**_shipment(len(shipments.records) + 1), **fields}
    shipments.records[made["id"]] = made
    return made


@sandbox.route("POST /trackers")
async def create_tracker(request: web.Request) -> Any:
    """Make a tracker; the one that exists for the same code and carrier."""
    fields = await _given(request, "tracker")
    for one in trackers.records.values():
        if one["tracking_code"] == fields.get("tracking_code"):
            return one
    made = {"id": f"trk_{len(trackers.records) + 1}", "status": "unknown", **fields}
    trackers.records[made["id"]] = made
    return made


@sandbox.route("POST /addresses")
async def create_address(request: web.Request) -> Any:
    """Store an address."""
    fields = await _given(request, "address")
    checked = fields.pop("verify", None)
    made = {"id": f"adr_{len(addresses.records) + 1}", "object": "Address", **fields}
    if checked:
        made["verifications"] = {"delivery": {"success": True, "errors": []}}
    addresses.records[made["id"]] = made
    return made


@sandbox.route("POST /shipments/{id}/rerate")
async def rerate(request: web.Request) -> Any:
    """Answer the shipment, with rates of now."""
    return _shown(shipments.find(request.match_info["id"]), request)


@sandbox.route("POST /shipments/{id}/buy")
async def buy(request: web.Request) -> Any:
    """Buy a rate. Buying again is answered with an error, as by EasyPost."""
    shipment = shipments.find(request.match_info["id"])
    fields = await fields_of(request)
    chosen = [one for one in shipment["rates"] if one["id"] == (fields.get("rate") or {}).get("id")]
    if not chosen:
        raise _error(422, "RATE.INVALID", "The rate is not one of this shipment's")
    if shipment["selected_rate"]:
        raise _error(422, "SHIPMENT.POSTAGE.EXISTS", "Postage already exists for this shipment")
    if sandbox.switches.buys_nothing:
        return shipment
    shipment |= {
        "selected_rate": chosen[0],
        "tracking_code": f"EZ9{shipment['id'][4:]:0>8}",
        "insurance": fields.get("insurance"),
        "postage_label": {"label_url": f"{_LABELS}/{shipment['id']}.png", "label_pdf_url": None},
    }
    return _shown(shipment, request)


@sandbox.route("GET /shipments/{id}/label")
async def label(request: web.Request) -> Any:
    """Convert the label."""
    shipment = shipments.find(request.match_info["id"])
    if not shipment["postage_label"]:
        raise _error(422, "SHIPMENT.POSTAGE.NONE", "No label was bought")
    kind = request.query.get("file_format", "PNG").lower()
    own = shipment["postage_label"]["label_url"]
    return _shown(shipment, request, **{f"label_{kind}_url": own.removesuffix("png") + kind})


@sandbox.route("GET /files/postage_label/{file}", public=True)
async def file(request: web.Request) -> web.Response:
    """The document itself."""
    if request.match_info["file"].endswith(".pdf"):
        return web.Response(body=_PDF, content_type="application/pdf")
    return web.Response(body=_PNG, content_type="image/png")


@sandbox.route("POST /shipments/{id}/refund")
async def refund(request: web.Request) -> Any:
    """Void the label."""
    shipment = shipments.find(request.match_info["id"])
    if not shipment["selected_rate"]:
        raise _error(422, "SHIPMENT.REFUND.UNAVAILABLE", "Nothing was bought")
    shipment["refund_status"] = "submitted"
    return _shown(shipment, request)


create_app, accounts = sandbox.create_app, sandbox.accounts
