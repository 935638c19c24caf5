"""What an adapter is made of: its files as they lie there, and what Python gives for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from crossdock.authoring import Auth, Mapper


class Files(msgspec.Struct, frozen=True, kw_only=True):
    """An adapter's files as bytes, each page with its name from the adapter's folder. `docs` says
    whether there is a folder of that name."""

    folder: Path
    toml: bytes | None
    pages: tuple[tuple[str, bytes], ...]
    docs: bool


class Expansion(msgspec.Struct, frozen=True, kw_only=True):
    """Further endpoints and their page for accounts with certain settings.

    `resources` has the shape of adapter.toml's `[resources]`, `page` that of a file in docs/,
    `mappers` that of load_adapter's.
    """

    resources: Mapping[str, Any]
    page_name: str
    page: str
    mappers: Mapping[str, Mapper] = {}


Expand = Callable[[Mapping[str, Any]], Iterable[Expansion]]
SpellObject = Callable[[str], str]


class Overlay(msgspec.Struct, frozen=True, kw_only=True):
    """An operator's pages, each with its path: their sections stand in place of those of the same
    heading."""

    pages: tuple[tuple[str, bytes], ...]


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """What Python gives to load_adapter. `mappers` None: it did not load, so nobody knows.
    `mentioned` are the words in its texts, where it signs by itself."""

    mappers: Mapping[str, Mapper] | None = None
    auth: Auth | None = None
    expand: Expand | None = None
    objects: SpellObject | None = None
    sandbox: str | ModuleType | None = None
    mentioned: frozenset[str] = frozenset()
