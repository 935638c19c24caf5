"""Reads answers off one HTTP/1.1 connection, one after the other, within limits. Knows no socket.

llhttp judges the grammar. What it leaves open is judged here: how large a head may be, which
encodings are understood, how much of a body is kept, and where an answer without a length ends.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping

from httptools import (
    HttpParserCallbackError,
    HttpParserError,
    HttpParserUpgrade,
    HttpResponseParser,
)

from crossdock.calls.unpacking import ENCODINGS, Unpacker
from crossdock.errors import UpstreamFailure
from crossdock.model import Struct

Read = Callable[[int, int], None]

_HEAD_BYTES = 32_768  # of a head, or of what frames a body without being of it
_LINE_BYTES = 128  # what a header counts for at least: they are no more than 256
_ERROR_BYTES = 65_536  # an error page is read for its words only
_COUNTED = 65_536  # smaller answers are not worth counting
_BODILESS = (204, 304)
_LONG_HEAD = "The head of the provider's answer is too large."
_UNKNOWN = "The provider's answer is encoded in a way nobody asked for."
_BAD_PACKING = "The provider's answer cannot be decompressed."


class Answer(Struct, frozen=True):
    """A whole answer: header names in lower case, repeated ones joined; the body unpacked."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class AnswerReader:
    """Reads one answer at a time: `expect` it, `feed` bytes until it is complete, `taken`."""

    def __init__(self, most: int) -> None:
        """`most` is how many bytes a good answer may have, packed or unpacked."""
        self._allowed = most
        self._parser = HttpResponseParser(self)  # a cycle for as long as the connection lives
        self.reusable = False
        self._status = 0
        self.expect(None)

    def expect(self, read: Read | None, *, bodiless: bool = False) -> None:
        """Get ready for an answer; one to a HEAD is `bodiless`.

        `read` is called with the number of bytes and the status before more of a large answer is
        kept; what it raises ends that.
        """
        self._read = read
        self._bodiless = bodiless
        self._status = 0
        self._headers: dict[str, str] = {}
        self._lines = 0
        self._framing = 0
        self._body: bytes | bytearray = b""
        self._size = self._counted = self._packed = 0
        self._most = 0
        self._unpacker: Unpacker | None = None
        self._until_close = False
        self._complete = False

    def feed(self, data: bytes) -> bool:
        """Read bytes; True when the answer is complete. Raises UpstreamFailure.

        Bytes behind the answer make the connection not `reusable`.
        """
        self._framing += len(data)
        why: BaseException | None = None
        try:
            self._parser.feed_data(data)
        except HttpParserCallbackError as error:
            why = error.__context__  # what one of ours raised
        except (HttpParserError, HttpParserUpgrade):
            why = _malformed()
        if self._complete:
            self.reusable = self.reusable and why is None
        elif why is not None:
            raise why
        elif self._framing > _HEAD_BYTES:
            raise _malformed(_LONG_HEAD)
        return self._complete

    def end(self, *, clean: bool) -> None:
        """The connection has ended: so has an answer without a length. Raises UpstreamFailure."""
        self.reusable = False
        if clean and self._until_close:
            self._finish()
        elif self._status or self._framing:
            raise _malformed("The provider's answer broke off.")
        else:
            raise UpstreamFailure(
                "upstream_unreachable",
                "The provider closed the connection without an answer.",
                retryable=True,
            )

    def taken(self) -> Answer:
        """Return the complete answer, and keep nothing of it."""
        body, self._body = self._body, b""
        return Answer(self._status, self._headers, bytes(body))

    # --- what llhttp found -------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Another message, behind the answer, is nobody's."""
        if self._complete:
            raise ValueError("bytes behind the answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; those behind a body say nothing that is used."""
        if self._status:
            return
        self._lines += max(len(name) + len(value), _LINE_BYTES)
        if self._lines > _HEAD_BYTES:
            raise _malformed(_LONG_HEAD)
        key = name.lower().decode()
        text = value.strip(b" \t").decode("utf-8", "surrogateescape")
        joined = self._headers
        joined[key] = f"{joined[key]}, {text}" if key in joined else text

    def on_headers_complete(self) -> None:
        """Judge how the body comes. An interim answer is forgotten; the real one follows."""
        status = self._parser.get_status_code()
        headers = self._headers
        if status < 200:
            if status < 100 or status == 101:  # nobody asked for another protocol
                raise _malformed()
            self._headers = {}
            return
        self._status = status
        self._most = self._allowed if status < 300 else _ERROR_BYTES
        transfer = headers.get("transfer-encoding")
        if transfer is not None and transfer.lower() != "chunked":
            raise _malformed(_UNKNOWN)
        if self._bodiless:  # llhttp would wait for the body that the head announces
            self._cut()
            return
        self._until_close = (
            transfer is None and "content-length" not in headers and status not in _BODILESS
        )
        if "content-encoding" in headers:
            self._unpack(headers["content-encoding"].lower())

    def on_body(self, part: bytes) -> None:
        """Keep a part of the body, unpacked, as far as there is room."""
        if self._complete:
            return
        self._framing = 0
        if self._unpacker is not None:
            part = self._unpacked(part, self._unpacker)
        size = self._size + len(part)
        if size > self._most:
            if self._status < 300:
                raise self._too_large()
            self._cut()  # of an error page, what there is has to do
            return
        if self._read is not None and size > _COUNTED:
            self._read(size - self._counted, self._status)
            self._counted = size
        self._size = size
        if not self._body:
            self._body = part
        else:  # not as a list of parts: a million tiny ones would take many times their bytes
            if not isinstance(self._body, bytearray):
                self._body = bytearray(self._body)
            self._body += part

    def on_message_complete(self) -> None:
        """The answer is whole, unless it was an interim one."""
        if self._status and not self._complete:
            self.reusable = self._parser.should_keep_alive()
            self._finish()

    # --- helpers -----------------------------------------------------------------------------

    def _unpack(self, encoding: str) -> None:
        if encoding in ENCODINGS:
            self._unpacker = Unpacker(encoding)
        elif encoding not in ("", "identity") and self._status < 300:
            raise _malformed(_UNKNOWN)  # a refusal counts also without its words

    def _unpacked(self, part: bytes, unpacker: Unpacker) -> bytes:
        self._packed += len(part)
        if self._packed > self._most and self._status < 300:
            raise self._too_large()
        try:
            return unpacker.unpack(part, self._most - self._size)
        except zlib.error:
            if self._status < 300:
                raise _malformed(_BAD_PACKING) from None
            self._cut()
            return b""

    def _too_large(self) -> UpstreamFailure:
        return UpstreamFailure(
            "upstream_too_large",
            f"The provider's answer is larger than {self._most:,} bytes; ask for less.",
            status=self._status,
        )

    def _cut(self) -> None:
        """Let the answer end here, whatever follows."""
        self._complete = True
        self.reusable = False

    def _finish(self) -> None:
        unfinished = self._unpacker is not None and not self._unpacker.finished
        if unfinished and self._status < 300:
            raise _malformed(_BAD_PACKING)
        self._complete = True


def _malformed(words: str = "The provider's answer is not valid HTTP.") -> UpstreamFailure:
    return UpstreamFailure("upstream_malformed", words)
