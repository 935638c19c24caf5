"""What /metrics shows of a gateway besides its calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crossdock.observe.metrics import Gauge

if TYPE_CHECKING:
    from crossdock.gateway import Gateway


def gauges(gateway: Gateway) -> dict[str, tuple[str, Gauge]]:
    """Return what is asked when somebody looks: by name what it says, and what gives the number."""
    return {
        "crossdock_store_up": (
            "Whether the store answers.",
            lambda: float(not gateway.housekeeping.unready),
        ),
        **(_of_the_bus(gateway) if gateway.settings.bus.url else {}),
        "crossdock_mcp_servers": ("Live MCP servers.", lambda: gateway.gate.live_servers),
        "crossdock_accounts": ("Usable accounts.", lambda: len(gateway.accounts.all())),
        "crossdock_calls_running": ("Calls under way.", lambda: gateway.calls.running),
        "crossdock_answers_bytes": (
            "Bytes of large answers being read or not yet taken by clients.",
            lambda: gateway.calls.bytes,
        ),
        "crossdock_calls_asking": ("Calls that wait for a human.", lambda: gateway.calls.asking),
        "crossdock_audit_dropped_total": (
            "Audit lines that no store can hold; the process's log has them.",
            lambda: gateway.audit.unwritable,
        ),
        "crossdock_audit_waiting": (
            "Audit lines that are not stored yet.",
            lambda: gateway.audit.waiting,
        ),
    }


def _of_the_bus(gateway: Gateway) -> dict[str, tuple[str, Gauge]]:
    return {
        "crossdock_bus_up": (
            "Whether the other processes can be reached.",
            lambda: float(not gateway.bus.trouble),
        ),
        "crossdock_bus_dropped_total": (
            "Messages of the bus that were forged, old or seen before.",
            lambda: gateway.bus.dropped,
        ),
    }
