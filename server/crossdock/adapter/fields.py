"""Records, cut to the fields that somebody wants to see. Values are passed on undecoded."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from crossdock.adapter.bodies import malformed

EVERYTHING = "*"
_LEVEL = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ITEMS = msgspec.json.Decoder(list[msgspec.Raw])
_MORE = "… ({:,} characters)"
_LONGEST_TEXTS = (4_000, 1_000, 200)

Tree = dict[str, Any]
_PLAIN = re.compile(r"\w{1,100}(?:\.\w{1,100}){0,7}")
_DEEPEST = 32  # levels of a path; no record shows what lies below


class Fields:
    """Dotted paths, read through lists; `id` is always kept. `*` stands for all.

    `told` says that `unseen` will be asked for; a view that nobody asked for goes without, quicker.
    """

    def __init__(self, paths: Iterable[str], id_field: str = "id", *, told: bool = True) -> None:
        self._paths = tuple(path.removesuffix(".*") for path in paths)
        self.everything = not self._paths or EVERYTHING in self._paths
        self._wanted = (id_field or "id", *self._paths)
        self._tree: Tree | None = None
        self._quick = None if told or self.everything else _decoder(self._wanted)
        self._told = told
        self._seen: set[str] = set()
        self._known: set[str] = set()

    def cut(self, record: bytes) -> bytes:
        """Return a record, or a list of them, with these fields. Raises UpstreamFailure."""
        if self.everything:
            return record
        try:
            if self._quick is not None:
                try:
                    return msgspec.json.encode(self._quick.decode(record))
                except msgspec.ValidationError:  # of another shape than records mostly have
                    pass
            if self._tree is None:
                self._tree = _tree(self._wanted)
            return self._cut(record, self._tree, "")
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise malformed(error) from None

    def unseen(self) -> Iterator[str]:
        """Yield a sentence for each path that none of the records had."""
        for path in [] if self.everything else self._paths:
            if not self._shows(path):
                near = difflib.get_close_matches(path, self._known, 2, 0.6)
                hint = f"; did you mean {' or '.join(near)}?" if near else "."
                yield f"No record here has the field {path}{hint}"

    def _shows(self, path: str) -> bool:
        # a field asked for as a whole shows whatever lies below it
        return any(f"{path}.".startswith(f"{seen}.") for seen in self._seen)

    def _cut(self, value: bytes, tree: Tree, place: str) -> bytes:
        head = value.lstrip()[:1]
        if head == b"[":
            return b"[%b]" % b",".join(
                self._cut(bytes(one), tree, place) for one in _ITEMS.decode(value)
            )
        if head != b"{":
            if self._told:
                self._seen.update(f"{place}{rest}" for rest in _leaves(tree))
            return value
        level = _LEVEL.decode(value)
        if self._told:
            self._known.update(f"{place}{name}" for name in level)
        return b"{%b}" % b",".join(
            b"%b:%b" % (msgspec.json.encode(name), self._part(bytes(part), tree, place, name))
            for name, part in level.items()
            if name in tree
        )

    def _part(self, part: bytes, tree: Tree, place: str, name: str) -> bytes:
        inner: Tree = tree[name]
        if inner:
            return self._cut(part, inner, f"{place}{name}.")
        if self._told:
            self._seen.add(f"{place}{name}")
        return part


@functools.lru_cache(maxsize=512)
def view_of(paths: tuple[str, ...], id_field: str) -> Fields:
    """Return what cuts to a view that nobody asked for; it keeps nothing, so one does for all."""
    return Fields(paths, id_field, told=False)


@functools.lru_cache(maxsize=512)
def _decoder(paths: tuple[str, ...]) -> msgspec.json.Decoder[Any] | None:
    """Return what cuts to a view at once, made once for each; None for names it cannot have."""
    if not all(map(_PLAIN.fullmatch, paths)):
        return None
    tree = _tree(paths)
    order = dict.fromkeys(path.partition(".")[0] for path in paths)
    return msgspec.json.Decoder(_struct({name: tree[name] for name in order}))


def _struct(tree: Tree) -> type[msgspec.Struct]:
    """Return a Struct that takes these members of an object as they are, and no others."""
    members, names = [], {}
    for number, (name, inner) in enumerate(tree.items()):
        kind: Any = msgspec.Raw
        if inner:
            below = _struct(inner)
            kind = below | list[below] | None  # type: ignore[valid-type]
        names[f"m{number}"] = name
        members.append((f"m{number}", kind | msgspec.UnsetType, msgspec.UNSET))
    return msgspec.defstruct("View", members, rename=names)


def _tree(paths: Iterable[str]) -> Tree:
    """Return paths as nested dicts; an empty one takes the whole value."""
    tree: Tree = {}
    for path in sorted(set(paths), key=len):
        level, names = tree, path.split(".", _DEEPEST)
        for name in names:
            whole = name in level and not level[name]
            level = level.setdefault(name, {})
            if whole:
                break
    return tree


def _leaves(tree: Tree) -> Iterator[str]:
    for name, inner in tree.items():
        yield from (f"{name}.{leaf}" for leaf in _leaves(inner)) if inner else (name,)


# --- records that are too large --------------------------------------------------------------


def largest(record: bytes, most: int = 3) -> list[tuple[str, int]]:
    """Return the largest fields of a record with their bytes; none for what is no object."""
    try:
        level = _LEVEL.decode(record)
    except (msgspec.DecodeError, RecursionError):
        return []
    sizes = [(name, len(memoryview(part))) for name, part in level.items()]
    return sorted(sizes, key=lambda pair: -pair[1])[:most]


def shortened(record: bytes, room: int, id_field: str = "id") -> tuple[bytes, list[str]]:
    """Return a record in at most `room` bytes where that can be, and the fields left out.

    Long texts are shortened first, with their length said; then whole fields go, largest first.
    """
    whole = record
    for longest in _LONGEST_TEXTS:
        record = _with_shorter_texts(whole, longest)
        if len(record) <= room:
            return record, []
    left_out: list[str] = []
    for name, _ in largest(record, most=1_000):
        if len(record) <= room:
            break
        if name != (id_field or "id"):
            record, left_out = _without(record, name), [*left_out, name]
    return record, left_out


def _with_shorter_texts(value: bytes, longest: int) -> bytes:
    if len(value) <= longest:
        return value
    head = value[:1]
    if head == b'"':
        text: str = msgspec.json.decode(value)
        if len(text) <= longest:
            return value
        return msgspec.json.encode(text[:longest] + _MORE.format(len(text)))
    if head == b"[":
        parts = [_with_shorter_texts(bytes(one), longest) for one in _ITEMS.decode(value)]
        return b"[%b]" % b",".join(parts)
    if head == b"{":
        return _object(
            (name, _with_shorter_texts(bytes(part), longest))
            for name, part in _LEVEL.decode(value).items()
        )
    return value


def _without(record: bytes, name: str) -> bytes:
    level = _LEVEL.decode(record)
    return _object((key, bytes(part)) for key, part in level.items() if key != name)


def _object(members: Iterable[tuple[str, bytes]]) -> bytes:
    return b"{%b}" % b",".join(
        b"%b:%b" % (msgspec.json.encode(name), part) for name, part in members
    )
