"""Hides tokens by their form, and known secrets by their value, in whatever is written for people.

What a line costs does not grow with the number of secrets. A text of 2n-1 characters covers one
whole block of n characters wherever it stands: it is enough to look up every nth block of a line.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote, quote_plus

SHORTEST = 6  # shorter values would hide words
MARK = "[redacted]"

_TOKEN = re.compile(r"cd[ma]_[0-9A-Za-z]{20,}")
_CAPABILITY = re.compile(r"(/mcp/)(?![{<])[^/\s\"'?#\\]+")
_RUN = re.compile(rb"[A-Za-z0-9._~+/-]{20,}=*")  # of what tokens are made (RFC 6750, 2.1)
_TOKEN_BYTES = 65_536
_PUBLIC = {"token_type", "scope", "expires_in", "error", "error_description"}
_PLAIN = re.compile(r"\s|://")
_MOST = 1000
_BLOCKS = (3, 8)
_STALE = 1000

Span = tuple[int, int]


def spellings(secret: str) -> tuple[str, ...]:
    """Return the ways a secret is written: plain, escaped for JSON, Python or a URL, in base64.

    In base64 it stands at one of three places within a longer text, as in `Basic …`; each is
    given without the characters at its ends that depend on its neighbours.
    """
    if len(secret) < SHORTEST:
        return ()
    ways = [secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]]
    ways += [secret.replace("/", "\\/"), repr(secret)[1:-1]]
    raw = secret.encode(errors="replace")
    ways += [quote(raw, safe=""), quote(raw), quote_plus(raw)]
    for shift in range(3):
        first, last = (shift * 8 + 5) // 6, (shift + len(raw)) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            ways.append(encode(b"\0" * shift + raw).decode()[first:last])
    return tuple(dict.fromkeys(way for way in ways if len(way) >= SHORTEST))


def likely_secrets(body: bytes) -> list[str]:
    """Return what may be a token in the answer of a token service, whatever its form.

    Asked before anything else reads that answer: what fails on it may show it.
    """
    runs = [run.decode() for run in _RUN.findall(body[:_TOKEN_BYTES])]
    try:
        return [*runs, *_texts(json.loads(body))]
    except (ValueError, RecursionError):
        return runs


def _texts(value: Any, name: str = "") -> list[str]:
    if isinstance(value, dict):
        return [text for key, inner in value.items() for text in _texts(inner, str(key))]
    if isinstance(value, list):
        return [text for inner in value for text in _texts(inner, name)]
    said = isinstance(value, str) and name not in _PUBLIC and not _PLAIN.search(value)
    return [value] if said else []


class _Index:
    """Finds words of at least 2·size-1 characters. A word that is given up stays as a block."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._blocks: dict[str, tuple[tuple[int, int], ...]] = {}

    def add(self, word: str) -> None:
        for offset in range(self._size):
            block = word[offset : offset + self._size]
            known = self._blocks.get(block, ())
            if (offset, len(word)) not in known:
                self._blocks[block] = (*known, (offset, len(word)))

    def find(self, text: str, knows: Callable[[str], bool]) -> list[Span]:
        size, places = self._size, self._blocks
        if not places:
            return []
        blocks = [text[start : start + size] for start in range(0, len(text), size)]
        if places.keys().isdisjoint(blocks):
            return []
        starts = (
            (number * size - offset, length)
            for number, block in enumerate(blocks)
            for offset, length in places.get(block, ())
        )
        return [
            (start, start + length)
            for start, length in starts
            if start >= 0 and knows(text[start : start + length])
        ]


class Redactor:
    """Knows what must not be seen. `pin` is for what lasts, `learn` for what comes and goes."""

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._pinned: dict[str, frozenset[str]] = {}
        self._recent: dict[str, None] = {}
        self._words: Counter[str] = Counter()
        self._indexes = [_Index(size) for size in _BLOCKS]
        self._stale = 0

    def pin(self, owner: str, secrets: Iterable[str]) -> None:
        """Hide exactly these for this owner until others are pinned; nothing makes them forgotten.

        Those that the owner had before count as `learn`ed: they may still be under way.
        """
        fresh = frozenset(secrets)
        with self._changing:
            former = self._pinned.pop(owner, frozenset())
            if fresh:
                self._pinned[owner] = fresh
            for secret in fresh:
                self._hold(secret)
            self._remember(former - fresh)
            for secret in former:
                self._let_go(secret)

    def learn(self, secrets: Iterable[str]) -> None:
        """Hide these as well; beyond a thousand of their kind the oldest are forgotten."""
        with self._changing:
            self._remember(secrets)

    def clean(self, text: str) -> str:
        """Return `text` with every secret replaced."""
        if "cdm_" in text or "cda_" in text:
            text = _TOKEN.sub(MARK, text)
        if "/mcp/" in text:
            text = _CAPABILITY.sub(rf"\1{MARK}", text)
        knows = self._words.__contains__
        spans = [span for index in self._indexes for span in index.find(text, knows)]
        return _without(text, spans) if spans else text

    def clean_json(self, encoded: bytes) -> bytes:
        """Return JSON with every secret in it replaced, as JSON."""
        text = encoded.decode()
        if self.clean(text) == text:
            return encoded
        return json.dumps(self._cleaned(json.loads(text)), separators=(",", ":")).encode()

    def _cleaned(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {self.clean(name): self._cleaned(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [self._cleaned(inner) for inner in value]
        if isinstance(value, str):
            return self.clean(value)
        return value if self.clean(str(value)) == str(value) else MARK

    def _remember(self, secrets: Iterable[str]) -> None:
        for secret in secrets:
            if secret in self._recent:
                del self._recent[secret]  # to be the newest again
            else:
                self._hold(secret)
            self._recent[secret] = None
        while len(self._recent) > _MOST:
            oldest = next(iter(self._recent))
            del self._recent[oldest]
            self._let_go(oldest)

    def _hold(self, secret: str) -> None:
        for word in spellings(secret):
            self._words[word] += 1
            if self._words[word] == 1:
                _index_for(word, self._indexes).add(word)

    def _let_go(self, secret: str) -> None:
        for word in spellings(secret):
            self._words[word] -= 1
            if not self._words[word]:
                del self._words[word]
                self._stale += 1
        if self._stale > _STALE + len(self._words):
            self._sweep()

    def _sweep(self) -> None:
        fresh = [_Index(size) for size in _BLOCKS]
        for word in self._words:
            _index_for(word, fresh).add(word)
        self._indexes, self._stale = fresh, 0


def _index_for(word: str, indexes: list[_Index]) -> _Index:
    return indexes[len(word) >= 2 * _BLOCKS[1] - 1]


def _without(text: str, spans: list[Span]) -> str:
    parts, end = [], 0
    for start, stop in sorted(spans):
        if start >= end:
            parts += [text[end:start], MARK]
        end = max(end, stop)
    return "".join(parts) + text[end:]


redactor = Redactor()
