"""Where a webhook may post to: customers' data goes to public https hosts, or to those named."""

from __future__ import annotations

from typing import Any

import pytest

from crossdock.adapter import InvalidArguments
from crossdock_malomo.webhooks import check_destination

CREATE = "create_a_malomo_webhook"
UPDATE = "update_a_malomo_webhook_by_id"
REFUSED = [
    "http://hooks.example.com/x",
    "ftp://hooks.example.com/x",
    "//hooks.example.com/x",
    "hooks.example.com/x",
    "javascript:alert(1)",
    "https://",
    "https:///x",
    "https://localhost/x",
    "https://api.localhost/x",
    "https://intranet/x",
    "https://hooks.internal/x",
    "https://hooks.local/x",
    "https://printer.lan/x",
    "https://1.0.0.127.in-addr.arpa/x",
    "https://127.0.0.1/x",
    "http://127.0.0.1:9000/x",
    "https://127.1/x",
    "https://2130706433/x",
    "https://0x7f000001/x",
    "https://0177.0.0.1/x",
    "https://0/x",
    "https://10.0.0.1/x",
    "https://169.254.169.254/latest/meta-data",
    "https://169.254.169.254./x",
    "https://8.8.8.8/x",
    "https://[::1]/x",
    "https://[::ffff:169.254.169.254]/x",
    "https://[fe80::1%25eth0]/x",
    "https://127.0.0.1.nip.io/x",
    "https://10-0-0-1.sslip.io/x",
    "https://x.169.254.169.254.nip.io/x",
    "https://hooks.example.com@169.254.169.254/x",
    "https://169.254.169.254\\@hooks.example.com/x",
    "https://hooks.example.com\\.evil.example/x",
    "https://user:pass@hooks.example.com/x",
    "https://hooks.example.com /x",
    "https://hooks.example.com/x y",
    "https://hooks.example.com/x\ny",
    "\thttps://hooks.example.com/x",
    "https://hooks.example.com:port/x",
    "https://hooks..example.com/x",
    "https://-hooks.example.com/x",
    "https://１２７.0.0.1/x",  # noqa: RUF001 -- wide digits, which resolvers read as 127
    "https://%31%32%37.0.0.1/x",
    "https://hooks。example.com/x",
    f"https://{'a' * 64}.example.com/x",
    f"https://hooks.example.com/{'x' * 2048}",
]
TAKEN = [
    "https://hooks.example.com",
    "https://hooks.example.com/",
    "https://hooks.example.com?x=1",
    "HTTPS://Hooks.Example.com:8443/malomo/%20?a=b&c=d",
    "https://xn--bcher-kva.example/x",
    "https://alerts.internal.com/malomo",
    "https://api.mycompany.com/webhooks/malomo-alerts",
    "https://a.b.c.d.example.co.uk./x",
]


@pytest.mark.parametrize("url", REFUSED)
async def test_an_address_that_is_not_public_https_is_refused_before_anything_is_sent(
    provider: Any, tools: Any, url: str
) -> None:
    first = next(iter(provider.shop.webhooks))
    for name, more in ((CREATE, {"topic": "orders:updated"}), (UPDATE, {"id": first})):
        with pytest.raises(InvalidArguments, match=r"^url: .*e\.g\. https://hooks") as caught:
            await tools.call(name, url=url, **more)
        assert caught.value.argument == "url"
    assert await provider.requests() == []


@pytest.mark.parametrize("url", TAKEN)
async def test_a_public_https_address_is_taken(url: str) -> None:
    check_destination(url, ["*"])


async def test_named_hosts_are_the_only_ones() -> None:
    hosts = ["hooks.example.com", "*.trusted.example"]
    for url in ("https://hooks.example.com/x", "https://a.b.trusted.example/x"):
        check_destination(url, hosts)
    for url in (
        "https://other.example.com/x",
        "https://trusted.example/x",
        "https://eviltrusted.example/x",
        "https://hooks.example.com.evil.example/x",
    ):
        with pytest.raises(InvalidArguments, match="webhook_hosts") as caught:
            check_destination(url, hosts)
        assert "hooks.example.com, *.trusted.example" in caught.value.why
    with pytest.raises(InvalidArguments, match="it allows none"):
        check_destination("https://hooks.example.com/x", [])


async def test_loopback_passes_only_where_it_is_named_and_nothing_private_ever() -> None:
    check_destination("http://127.0.0.1:9000/x", ["*", "127.0.0.1"])
    check_destination("http://localhost:9000/x", ["localhost"])
    for url, hosts in (
        ("http://127.0.0.1:9000/x", ["*"]),
        ("http://localhost/x", ["127.0.0.1"]),
        ("https://10.0.0.1/x", ["10.0.0.1"]),
        ("https://169.254.169.254/x", ["169.254.169.254"]),
        ("https://hooks.internal/x", ["hooks.internal"]),
    ):
        with pytest.raises(InvalidArguments):
            check_destination(url, hosts)


async def test_the_account_says_which_hosts(provider: Any, tools: Any) -> None:
    hosts = [" A.Example.com", 5]  # as people write settings
    tools.connection.settings = {**tools.connection.settings, "webhook_hosts": hosts}
    with pytest.raises(InvalidArguments, match=r"it allows a\.example\.com, 5"):
        await tools.call(CREATE, topic="orders:updated", url="https://b.example.com/x")
    await tools.call(CREATE, topic="orders:updated", url="https://a.example.com/x")
