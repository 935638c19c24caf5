"""Long random histories of updates under faults. The guard's promises must hold at every step."""

from __future__ import annotations

import random
from typing import Any

import pytest

from crossdock.adapter import (
    InvalidArguments,
    UpstreamFailure,
    WriteNotVerified,
    WriteOutcomeUnknown,
)
from crossdock_malomo import orders, updates

ORDER = "89123"
STEPS = 60
POOL = [(carrier, f"CODE{n}") for carrier in ("usps", "ups", "fedex") for n in range(4)]
NO_FAULT: dict[str, Any] = {}
FAULTS: list[dict[str, Any]] = [
    NO_FAULT,
    NO_FAULT,
    NO_FAULT,
    {"kind": "drop", "method": "PUT"},
    {"kind": "drop", "method": "PUT", "commit": True},
    {"kind": "status", "method": "PUT"},
    {"kind": "status", "method": "PUT", "commit": True},
    {"kind": "status", "method": "PUT", "status": 422},
    {"kind": "html", "method": "PUT", "commit": True},
    {"kind": "lie", "method": "PUT"},
    {"kind": "status", "method": "GET"},
    {"kind": "status", "method": "GET", "skip": 1},
    {"kind": "truncated", "method": "GET"},
]
Pairs = set[tuple[str, str]]


def written(pairs: list[tuple[str, str]], chance: random.Random) -> list[dict[str, str]]:
    """Spell pairs as an agent might: any case of the carrier, blanks around the code."""
    return [
        {
            "carrier": chance.choice((carrier, carrier.upper(), carrier.title())),
            "tracking_code": chance.choice((code, f" {code}", f"{code} ")),
        }
        for carrier, code in pairs
    ]


def folded(pairs: Pairs) -> Pairs:
    return {(carrier.lower(), code.strip()) for carrier, code in pairs}


@pytest.mark.parametrize("seed", range(6))
async def test_no_history_loses_a_shipment_that_nobody_named(
    provider: Any, tools: Any, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(updates, "READ_BACK_PAUSES", (0.0, 0.0, 0.0))
    chance = random.Random(seed)
    for step in range(STEPS):
        before = folded(provider.pairs())
        add = chance.sample(POOL, chance.randint(0, 3))
        remove = chance.sample(sorted(before), min(len(before), chance.choice((0, 0, 1, 2))))
        remove += chance.sample(POOL, 1) if chance.random() < 0.1 else []
        arguments: dict[str, Any] = {"id": ORDER}
        if add or chance.random() < 0.5:
            arguments["shipments"] = written(add, chance)
        if remove:
            arguments["remove_shipments"] = written(remove, chance)
        if chance.random() < 0.3:
            arguments["email"] = f"{seed}.{step}@example.com"
        fault = chance.choice(FAULTS)
        monkeypatch.setattr(orders, "FRESH_SECONDS", chance.choice((1.0, -1.0)))
        other = ("dhl_express", f"OTHER{step}")
        late = {"order_id": ORDER, "carrier": other[0], "tracking_code": other[1], "after": "write"}
        comes = chance.random() < 0.2
        await provider.switch(
            faults=[fault] if fault else [],
            stale_reads=chance.choice((0, 0, 1, 2)),
            interferences=[late] if comes else [],
        )
        await provider.http("DELETE", "/_sandbox/requests")

        wanted = before - set(remove) | set(add)
        allowed = [before, wanted, wanted | {other}] if comes else [before, wanted]
        try:
            await tools.call("update_a_malomo_order_by_id", **arguments)
        except InvalidArguments:
            assert set(remove) - before or set(remove) & set(add)
            allowed = [before]
        except WriteNotVerified:
            assert fault["kind"] == "lie" or fault["method"] == "GET"
        except UpstreamFailure as failure:
            assert failure.rejected or fault["method"] == "GET"
            allowed = [before]
        except WriteOutcomeUnknown:
            assert fault["method"] == "PUT"
        else:
            allowed = allowed[1:] if len(arguments) > 1 else [before]

        bodies = await provider.written()
        assert len(bodies) <= 1
        for body in bodies:
            sent = {(one["carrier"], one["tracking_code"]) for one in body["shipments"]}
            assert before - set(remove) <= folded(sent)
        assert folded(provider.pairs()) in allowed, (step, arguments, fault)
        provider.shop.stale.clear()
