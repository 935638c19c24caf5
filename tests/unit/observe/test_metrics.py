"""What Prometheus reads: the names, the types and the sums, as its own parser sees them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY, Metric
from prometheus_client.parser import text_string_to_metric_families

from crossdock import __version__
from crossdock.authoring import CallEvent
from crossdock.observe.metrics import Metrics, merged

GAUGES = {
    "crossdock_mcp_servers": ("Live MCP servers.", lambda: 3),
    "crossdock_audit_dropped_total": ("Lost lines.", lambda: 2),
}


def event(**given: Any) -> CallEvent:
    usual: dict[str, Any] = {
        "request_id": "r1",
        "server_id": "mcp_srv_1",
        "account_id": "shop",
        "adapter": "acme",
        "tool": "acme_items_count",
        "effect": "read",
        "outcome": "ok",
        "upstream_status": 200,
        "upstream_requests": 1,
        "seconds": 0.03,
        "upstream_seconds": 0.02,
    }
    return CallEvent(**{**usual, **given})


def read(metrics: Metrics) -> dict[str, Metric]:
    text = metrics.exposition().decode()
    return {family.name: family for family in text_string_to_metric_families(text)}


def samples(metrics: Metrics, family: str) -> dict[tuple[str, ...], float]:
    """Return the family's samples by their name and the values of their labels, sorted by label."""
    return {
        (one.name, *(value for _, value in sorted(one.labels.items()))): one.value
        for one in read(metrics)[family].samples
    }


def test_every_family_has_the_name_and_type_that_dashboards_know() -> None:
    metrics = Metrics(GAUGES)
    metrics.note_call(event())
    # The parser tells a counter's name without its `_total`.
    assert {name: family.type for name, family in read(metrics).items()} == {
        "crossdock_info": "gauge",
        "crossdock_mcp_servers": "gauge",
        "crossdock_audit_dropped": "counter",
        "crossdock_calls": "counter",
        "crossdock_upstream_requests": "counter",
        "crossdock_call_seconds": "histogram",
        "crossdock_loop_stalls": "counter",
    }
    assert samples(metrics, "crossdock_info") == {("crossdock_info", __version__): 1}


def test_calls_are_told_apart_by_adapter_tool_and_outcome() -> None:
    metrics = Metrics({})
    for given_ in ({}, {}, {"outcome": "not_found"}, {"tool": "other"}, {"adapter": "malomo"}):
        metrics.note_call(event(**given_))
    assert samples(metrics, "crossdock_calls") == {
        ("crossdock_calls_total", "acme", "ok", "acme_items_count"): 2,
        ("crossdock_calls_total", "acme", "not_found", "acme_items_count"): 1,
        ("crossdock_calls_total", "acme", "ok", "other"): 1,
        ("crossdock_calls_total", "malomo", "ok", "acme_items_count"): 1,
    }


def test_requests_to_providers_add_up_and_none_is_none() -> None:
    metrics = Metrics({})
    for count in (2, 0, 3):
        metrics.note_call(event(upstream_requests=count))
    assert samples(metrics, "crossdock_upstream_requests") == {
        ("crossdock_upstream_requests_total", "acme"): 5
    }


@given(st.lists(st.floats(0, 120), min_size=1))
def test_buckets_hold_what_took_no_longer_than_their_bound(durations: list[float]) -> None:
    metrics = Metrics({})
    for seconds in durations:
        metrics.note_call(event(seconds=seconds))
    found = samples(metrics, "crossdock_call_seconds")
    bounds = [bound for name, *_, bound in found if name.endswith("_bucket")]
    assert bounds == "0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10 30 60 +Inf".split()
    for bound in bounds:
        within = sum(seconds <= float(bound) for seconds in durations)
        assert found["crossdock_call_seconds_bucket", "acme", bound] == within
    assert found["crossdock_call_seconds_count", "acme"] == len(durations)
    assert found["crossdock_call_seconds_sum", "acme"] == pytest.approx(sum(durations))


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"])))
def test_a_label_of_any_text_is_read_back(name: str) -> None:
    metrics = Metrics({})
    metrics.note_call(event(tool=name))
    assert samples(metrics, "crossdock_calls") == {("crossdock_calls_total", "acme", "ok", name): 1}


def test_gauges_are_asked_when_somebody_looks() -> None:
    level = [1]
    metrics = Metrics({"crossdock_calls_running": ("Running.", lambda: level[0])})
    level[0] = 7
    assert samples(metrics, "crossdock_calls_running") == {("crossdock_calls_running",): 7}


def test_each_gateway_of_a_process_counts_for_itself() -> None:
    one, other = Metrics({}), Metrics({})
    one.note_call(event())
    assert samples(other, "crossdock_calls") == {}
    assert not [family.name for family in REGISTRY.collect() if "crossdock" in family.name]


def test_stalls_are_counted_by_who_caused_them() -> None:
    metrics = Metrics({})
    for tool in ("acme_items_count", "acme_items_count", ""):
        metrics.note_stall("acme" if tool else "", tool)
    assert samples(metrics, "crossdock_loop_stalls") == {
        ("crossdock_loop_stalls_total", "acme", "acme_items_count"): 2,
        ("crossdock_loop_stalls_total", "", ""): 1,
    }


def test_the_numbers_of_several_workers_stand_together_under_a_label() -> None:
    one, two = Metrics(GAUGES), Metrics(GAUGES)
    one.note_call(event(tool="acme_items_{count}"))
    two.note_call(event())
    two.note_call(event())
    parents = "# HELP deaths_total Deaths.\n# TYPE deaths_total counter\ndeaths_total 4\n"
    texts = {"2": two.exposition().decode(), "1": one.exposition().decode(), "": parents}
    families = {f.name: f for f in text_string_to_metric_families(merged(texts).decode())}
    assert [s.labels["worker"] for s in families["crossdock_mcp_servers"].samples] == ["1", "2"]
    counted = {
        (s.labels["worker"], s.labels["tool"]): s.value for s in families["crossdock_calls"].samples
    }
    assert counted == {("1", "acme_items_{count}"): 1, ("2", "acme_items_count"): 2}
    buckets = families["crossdock_call_seconds"].samples
    assert {s.labels["worker"] for s in buckets} == {"1", "2"}
    assert [(s.labels, s.value) for s in families["deaths"].samples] == [({}, 4)]
