"""/metrics: what Prometheus reads, and what it must not."""

from __future__ import annotations

import re

from harness.provider import Provider, reply
from harness.running import Running

SAMPLE = re.compile(r'([a-z_]+)(\{([a-z]+="[^"\\]*"(,[a-z]+="[^"\\]*")*)\})? (\S+)')


async def samples(running: Running) -> dict[str, float]:
    response = await running.request("GET", "/metrics", token=None)
    assert response.status == 200
    assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    found = {}
    for line in response.body.decode().splitlines():
        if line.startswith("#"):
            assert line.split(" ")[1] in ("HELP", "TYPE")
            continue
        match = SAMPLE.fullmatch(line)
        assert match is not None, line
        found[line.rpartition(" ")[0]] = float(match[5])
    return found


async def test_calls_are_counted_by_tool_and_outcome_and_timed(
    acme_gateway: Running, provider: Provider
) -> None:
    server = await acme_gateway.server()
    provider.plays(reply({"count": 1}), reply({"count": 2}), reply({"message": "no"}, 500))
    for _ in range(3):
        await server.call("acme_items_count")
    found = await samples(acme_gateway)
    counted = 'crossdock_calls_total{{adapter="acme",outcome="{}",tool="acme_items_count"}}'
    assert found[counted.format("ok")] == 2
    assert found[counted.format("upstream_error")] == 1
    assert found['crossdock_upstream_requests_total{adapter="acme"}'] == 3
    assert found['crossdock_call_seconds_count{adapter="acme"}'] == 3
    assert found['crossdock_call_seconds_bucket{adapter="acme",le="+Inf"}'] == 3
    assert found['crossdock_call_seconds_sum{adapter="acme"}'] > 0
    assert found["crossdock_mcp_servers"] == 1
    assert found["crossdock_accounts"] == 1
    assert found["crossdock_calls_running"] == 0
    buckets = [value for name, value in found.items() if "_bucket" in name]
    assert buckets == sorted(buckets)


async def test_no_server_and_no_account_is_named(acme_gateway: Running, provider: Provider) -> None:
    server = await acme_gateway.server()
    provider.plays(reply({"count": 1}))
    await server.call("acme_items_count")
    body = (await acme_gateway.request("GET", "/metrics", token=None)).body.decode()
    assert server.id not in body
    assert "shop" not in body
