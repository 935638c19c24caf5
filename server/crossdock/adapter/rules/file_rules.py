"""Rules for adapter.toml as a file: is it there, can it be read at all?"""

from __future__ import annotations

from collections.abc import Iterator

from crossdock.adapter.declaration import TOML, Broken, toml_of
from crossdock.adapter.findings import Flaw, Place, Stage

FILE = Stage()


class TomlFile:
    """The bytes of adapter.toml; None: it is not there."""

    file = TOML

    def __init__(self, folder: str, data: bytes | None) -> None:
        self.adapter = folder
        self.data = data
        self.text = "" if data is None else decoded(data)
        self.table = {} if self.text is None else toml_of(self.text)

    def line(self, place: Place) -> int:
        """Return the top: what is told here knows its line."""
        return 1

    def key(self, place: Place) -> str:
        """Return nothing: there are no keys yet."""
        return ""


def decoded(data: bytes) -> str | None:
    """Return a text without its byte order mark; None if it is no UTF-8."""
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        return None


def undecodable(data: bytes) -> int:
    """Return the line of the first byte that is no UTF-8."""
    try:
        data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return data.count(b"\n", 0, error.start) + 1
    return 1


@FILE.rule("toml-missing", "adaptertoml")
def _no_file(file: TomlFile) -> Iterator[Flaw]:
    if file.data is None:
        yield Flaw(
            place=(),
            message=f"there is no {TOML}",
            remedy="write it beside the module that loads it",
        )


@FILE.rule("toml-encoding", "adaptertoml")
def _encoding(file: TomlFile) -> Iterator[Flaw]:
    if file.text is None and file.data is not None:
        yield Flaw(
            place=(),
            line=undecodable(file.data),
            message="it is not UTF-8",
            remedy="save it as UTF-8",
        )


@FILE.rule("toml-syntax", "adaptertoml")
def _syntax(file: TomlFile) -> Iterator[Flaw]:
    if isinstance(file.table, Broken):
        yield Flaw(
            place=(),
            line=file.table.line,
            message=f"it is no TOML: {file.table.reason}",
            remedy="mend this line, or the one before it",
        )
