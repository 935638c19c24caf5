"""Odd values and odd requests for the admin API, without end, the same for the same seed."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlencode

if TYPE_CHECKING:
    from random import Random

MOMENTS = (
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59.999999-23:59",
    "9999-12-31T23:59:59Z",
    "9999-12-31T23:59:60Z",
    "2099-02-30T00:00:00Z",
    "2099-01-01T24:00:00Z",
    "2099-01-01T00:00:00",
    "2099-01-01t00:00:00z",
    "2099-01-01T00:00:00+99:99",
    "2099-01-01T00:00:00.0000000000000000001Z",
    "-2099-01-01T00:00:00Z",
    "99999-01-01T00:00:00Z",
)
ADDRESSES = (
    "https://xn--/",
    "https://a..b",
    "https://.",
    "https://-a.example",
    "https://[::1",
    "https://[::1]:99999/",
    "https://[fe80::1%25eth0]/",
    "https://\u2024/",
    "https://a\u0000b",
    "https://" + "a" * 300 + ".example",
    "https://a.example:x",
    "https://a.example:",
    "https://@",
    "https://u:p@a.example",
    "http:/a",
    "//a.example",
    "https:///x",
    "https://\u00df.example/\ud800",
    "https://1.1",
    "https://0x7f.1",
    "10.0.0.0/33",
    "10.0.0.1/8",
    "::/129",
    "fe80::1%eth0/64",
    "\u0661.0.0.0/8",
    "0/0",
    "::ffff:0:0:0/96",
)
ODD = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63) - 1, 10**30, 10**300, 1.5, 1e308, -0.0),
    *("", " ", "x", "\x00", "\ud800", "\u202e", "\u200b", "%00", "..", "/", "true", "null", "1"),
    *("x" * 201, "x" * 10_000, "\U0001f69a" * 50, "__proto__", "{{7*7}}", "%s%n", "-1", "NaN"),
    *("read", "write", "custom", "list", "orders", "shop", "acme", "config", "cli", "owner"),
    *([], [None], [[]], [[None, [None]]], {}, {"": None}, {"a": {"b": [None]}}, [{}], [1, "x"]),
    *(["x"] * 2_000, {"x" * 300: 1}, {"$ref": "#"}, {"between": 5}, [True, None, 1.5, "x", {}]),
    *MOMENTS,
    *ADDRESSES,
)
TEXTS = tuple(one for one in ODD if isinstance(one, str))
IDS = (
    "shop",
    "nobody",
    "config",
    "%",
    "\x00",
    "\ud800",
    "x" * 300,
    "a b",
    "\u00e9",
    "{id}",
    "tok_0",
)

SERVER: dict[str, Any] = {
    "name": "Agent",
    "config": {
        "methods": ["read", "create"],
        "tags": ["orders"],
        "objects": ["order"],
        "tool_exposure": "all",
        "require_api_token_auth": False,
        "result_format": "text",
        "confirm": "none",
        "allowed_ips": ["10.0.0.0/8"],
        "accept_new_tools": True,
        "answer_tokens": 600,
        "second_factors": ["tok_0"],
    },
    "expires_at": "2099-01-01T00:00:00Z",
    "require_api_token_auth": False,
}
ACCOUNT: dict[str, Any] = {
    "integration": "acme",
    "name": "Acme",
    "settings": {"base_url": "https://a.example"},
    "credentials": {"api_key": "k-of-nobody-at-all"},
}
TOKEN: dict[str, Any] = {"name": "x", "role": "viewer", "expires_at": "2099-01-01T00:00:00Z"}
BODIES: dict[str, dict[str, Any]] = {
    "account": ACCOUNT,
    "server": SERVER,
    "token": TOKEN,
    "server.rotate": {"overlap_seconds": 60},
    "server.accept_tools": {"tools": ["acme_items_count"]},
}


class Odd(NamedTuple):
    """A request that may be well formed or not."""

    verb: str
    path: str
    body: bytes | None


def value(random: Random) -> Any:
    """Return something odd, now and then within something else."""
    found: Any = copy.deepcopy(random.choice(ODD))
    for _ in range(random.choice((0, 0, 0, 1, 2, 40))):
        found = random.choice(([found], {"a": found}, [None, found], {random.choice(TEXTS): found}))
    return found


def spoilt(random: Random, whole: dict[str, Any]) -> Any:
    """Return a body with a few things changed, taken out or put in."""
    found = copy.deepcopy(whole)
    for _ in range(random.choice((0, 1, 1, 1, 2, 3))):
        place: Any = found
        while (inner := [one for one in place.values() if isinstance(one, dict)]) and (
            random.random() < 0.6
        ):
            place = random.choice(inner)
        key = random.choice([*place, random.choice(TEXTS)])
        what = random.randrange(4)
        if what == 0:
            place.pop(key, None)
        elif what == 1 and isinstance(place.get(key), list):
            place[key] = [*place[key], value(random)]
        else:
            place[key] = value(random)
    return found


def body_of(random: Random, action: str) -> bytes:
    """Return the body of a verb: spoilt, odd as a whole, or no JSON."""
    kind = action if action in BODIES else action.partition(".")[0]
    chance = random.random()
    if chance < 0.85:
        made = spoilt(random, BODIES[kind])
    elif chance < 0.97:
        made = value(random)
    else:
        return random.choice((b"", b"{", b"[" * 5_000, b'{"a":1e999}', b"\xff", b'{"a":' * 5_000))
    if action.endswith(".change") and isinstance(made, dict) and random.random() < 0.7:
        made = {key: made[key] for key in made if random.random() < 0.5}
    return json.dumps(made, ensure_ascii=random.random() < 0.5).encode("utf-8", "surrogatepass")


def query_of(random: Random, names: tuple[str, ...]) -> str:
    """Return a query of known names with odd values, or none."""
    if random.random() < 0.5:
        return ""
    pairs = [
        (random.choice((*names, "x", "limit")), str(value(random))[:500])
        for _ in range(random.randrange(3))
    ]
    return "?" + urlencode(pairs, errors="surrogatepass")


def id_of(random: Random, known: list[str]) -> str:
    """Return an id for a path: one that is known, or an odd one."""
    text = random.choice(known) if known and random.random() < 0.7 else random.choice(IDS)
    return quote(text, safe="", errors="surrogatepass")
