"""Answers as bytes: however they are cut into pieces, whatever they lie about, within limits."""

from __future__ import annotations

import gzip
import os
import random
import tracemalloc
import zlib
from itertools import pairwise

import pytest

from crossdock.calls.http_reader import Answer, AnswerReader
from crossdock.errors import UpstreamFailure

MOST = 100_000
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
PACKED = gzip.compress(b'{"id":1}')


def length(body: bytes, more: bytes = b"", status: bytes = b"200 OK") -> bytes:
    """An answer that says its length."""
    return b"HTTP/1.1 %b\r\n%bContent-Length: %d\r\n\r\n%b" % (status, more, len(body), body)


def read(*parts: bytes, end: bool = False, most: int = MOST) -> tuple[Answer, bool]:
    """Read an answer in parts; also whether its connection can be used again."""
    reader = AnswerReader(most)
    complete = [reader.feed(part) for part in parts]
    assert not any(complete[:-1])
    if end:
        reader.end(clean=True)
    else:
        assert complete[-1]
    return reader.taken(), reader.reusable


def refused(*parts: bytes, end: bool = False, most: int = MOST) -> UpstreamFailure:
    """Read what cannot be read."""
    with pytest.raises(UpstreamFailure) as caught:
        read(*parts, end=end, most=most)
    assert len(str(caught.value)) < 200
    return caught.value


# --- good answers ----------------------------------------------------------------------------

GOOD = {
    "length": (length(b'{"id":1}', b"X-A: b \t\r\n"), b'{"id":1}', True),
    "chunked": (CHUNKED + b'4\r\n{"id\r\n4;x=y\r\n":1}\r\n0\r\n\r\n', b'{"id":1}', True),
    "trailers": (CHUNKED + b"2\r\n{}\r\n0\r\nX-Late: yes\r\nDate: z\r\n\r\n", b"{}", True),
    "gzip": (length(PACKED, b"Content-Encoding: gzip\r\n"), b'{"id":1}', True),
    "deflate": (length(zlib.compress(b"{}"), b"Content-Encoding: deflate\r\n"), b"{}", True),
    "two members": (length(PACKED * 2, b"Content-Encoding: x-gzip\r\n"), b'{"id":1}' * 2, True),
    "bare deflate": (
        length(zlib.compress(b"{}")[2:-4], b"Content-Encoding: Deflate\r\n"), b"{}", True
    ),
    "identity": (length(b"{}", b"Content-Encoding: identity\r\n"), b"{}", True),
    "hints before": (
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
        + length(b"{}"), b"{}", True,
    ),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", b"", True),
    "nothing, packed": (length(b"", b"Content-Encoding: gzip\r\n"), b"", True),
    "not modified": (b"HTTP/1.1 304 x\r\nContent-Length: 9\r\n\r\n", b"", True),
    "closing": (length(b"{}", b"Connection: close\r\n"), b"{}", False),
    "old": (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", b"{}", False),
    "offers": (length(b"{}", b"Connection: upgrade\r\nUpgrade: h2c\r\n"), b"{}", True),
    "utf-8 in a header": (length(b"{}", "X: é\r\n".encode()), b"{}", True),
    "odd bytes in a header": (length(b"{}", b"X: \xe9\xff\r\n"), b"{}", True),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_an_answer_is_the_same_wherever_it_is_cut(name: str) -> None:
    data, body, reusable = GOOD[name]
    whole = read(data)
    assert (whole[0].body, whole[1]) == (body, reusable)
    for cut in range(1, len(data)):
        assert read(data[:cut], data[cut:]) == whole
    assert read(*[data[place : place + 1] for place in range(len(data))]) == whole


def test_an_answer_without_a_length_ends_with_its_connection() -> None:
    data = OK + b'X: y\r\n\r\n{"id":1}'
    for cut in range(1, len(data)):
        answer, reusable = read(data[:cut], data[cut:], end=True)
        assert (answer.body, reusable) == (b'{"id":1}', False)
    packed = OK + b"Content-Encoding: gzip\r\n\r\n" + PACKED
    assert read(packed, end=True)[0].body == b'{"id":1}'


def test_headers_are_in_lower_case_and_repeated_ones_joined() -> None:
    more = b"X-Rate: 1\r\nx-rate:2 \r\nEmpty:\r\n"
    headers = read(length(b"{}", more))[0].headers
    assert headers == {"x-rate": "1, 2", "empty": "", "content-length": "2"}


def test_what_comes_before_and_behind_the_head_is_no_header_of_the_answer() -> None:
    early = b"HTTP/1.1 103 x\r\nX-Early: 1\r\n\r\n"
    late = CHUNKED + b"2\r\n{}\r\n0\r\nX-Late: 1\r\nRetry-After: 9\r\n\r\n"
    assert set(read(early + late)[0].headers) == {"transfer-encoding"}


def test_an_answer_to_head_has_no_body_whatever_it_announces() -> None:
    reader = AnswerReader(MOST)
    reader.expect(None, bodiless=True)
    assert reader.feed(length(b"", b"X: y\r\n").replace(b": 0", b": 900"))
    assert (reader.taken().body, reader.reusable) == (b"", False)


# --- one answer after the other --------------------------------------------------------------


def test_answers_follow_each_other_and_nothing_of_one_is_in_the_next() -> None:
    reader = AnswerReader(MOST)
    for number in range(20):
        name, (data, body, reusable) = list(GOOD.items())[number % len(GOOD)]
        if not reusable:
            continue
        reader.expect(None)
        assert reader.feed(data), name
        answer = reader.taken()
        assert (answer.body, reader.reusable) == (body, True)
        reader.expect(None)
        assert reader.feed(length(b"mine", b"Only: this\r\n"))
        assert reader.taken() == Answer(200, {"only": "this", "content-length": "4"}, b"mine")


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("more", [b"x", b"HTTP/1.1", length(b"stolen"), b"\x00", b"\r\nx"])
def test_bytes_behind_an_answer_are_nobodys(name: str, more: bytes) -> None:
    data, body, _ = GOOD[name]
    answer, reusable = read(data + more)
    assert (answer.body, reusable) == (body, False)


# --- bad answers -----------------------------------------------------------------------------

BAD = {
    "no HTTP": b"220 ftp.example.com ready\r\n\r\n",
    "TLS": b"\x15\x03\x03\x00\x02\x02\x50\r\n",
    "no version": b"HTTP 200 OK\r\n\r\n",
    "another version": b"HTTP/2 200 OK\r\n\r\n",
    "an unknown version": b"HTTP/1.7 200 OK\r\n\r\n",
    "bad status": b"HTTP/1.1 abc OK\r\n\r\n",
    "low status": b"HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n",
    "long status": b"HTTP/1.1 2000 OK\r\n\r\n",
    "switched": b"HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    "switched without words": b"HTTP/1.1 101 x\r\n\r\nxx",
    "bare line ends": b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}",
    "no colon": OK + b"A b\r\n\r\n",
    "blank before the colon": OK + b"Content-Length : 2\r\n\r\n{}",
    "folded": OK + b"A: b\r\n c\r\nContent-Length: 0\r\n\r\n",
    "NUL": OK + b"A: b\x00c\r\n\r\n",
    "bare CR": OK + b"A: b\rc\r\n\r\n",
    "length twice": OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "two lengths": OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}}",
    "lengths in one": OK + b"Content-Length: 2, 2\r\n\r\n{}",
    "length and chunks": OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
    "chunks and length": OK + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\n{}\r\n",
    "signed length": OK + b"Content-Length: +2\r\n\r\n{}",
    "negative length": OK + b"Content-Length: -2\r\n\r\n{}",
    "hexadecimal length": OK + b"Content-Length: 0x2\r\n\r\n{}",
    "no number": OK + b"Content-Length: x\r\n\r\n{}",
    "no length at all": OK + b"Content-Length:\r\n\r\n{}",
    "huge length": OK + b"Content-Length: 99999999999999999999999\r\n\r\n{}",
    "packed on the way": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "chunked not last": OK + b"Transfer-Encoding: chunked, gzip\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "unknown on the way": OK + b"Transfer-Encoding: identity\r\n\r\n{}",
    "chunked twice": OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
    "chunk of no size": CHUNKED + b"\r\n{}\r\n",
    "chunk of a bad size": CHUNKED + b"zz\r\n{}\r\n",
    "chunk of a signed size": CHUNKED + b"+2\r\n{}\r\n",
    "chunk of a negative size": CHUNKED + b"-2\r\n{}\r\n",
    "chunk of a huge size": CHUNKED + b"fffffffffffffffff\r\n",
    "chunk with a prefix": CHUNKED + b"0x2\r\n{}\r\n",
    "chunk longer than it says": CHUNKED + b"2\r\n{}}\r\n0\r\n\r\n",
    "chunk without an end": CHUNKED + b"2\r\n{}2\r\n",
    "not gzip": length(b"{}", b"Content-Encoding: gzip\r\n"),
    "half a gzip": length(PACKED[:-4], b"Content-Encoding: gzip\r\n"),
    "a wrong gzip": length(PACKED[:-8] + b"x" * 8, b"Content-Encoding: gzip\r\n"),
    "more behind a gzip": length(PACKED + b"{}", b"Content-Encoding: gzip\r\n"),
    "members without end": length(gzip.compress(b"") * 99, b"Content-Encoding: gzip\r\n"),
    "not deflate": length(b"\xff\xff", b"Content-Encoding: deflate\r\n"),
    "more behind deflate": length(zlib.compress(b"") * 2, b"Content-Encoding: deflate\r\n"),
    "br": length(b"{}", b"Content-Encoding: br\r\n"),
    "zstd": length(b"{}", b"Content-Encoding: zstd\r\n"),
    "packed twice": length(PACKED, b"Content-Encoding: gzip, gzip\r\n"),
    "packed by two headers": length(PACKED, b"Content-Encoding: gzip\r\n" * 2),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_is_not_quite_http_is_malformed_wherever_it_is_cut(name: str) -> None:
    data = BAD[name]
    assert refused(data).kind == "upstream_malformed"
    for cut in range(1, len(data)):
        reader = AnswerReader(MOST)
        with pytest.raises(UpstreamFailure):
            assert not reader.feed(data[:cut])
            reader.feed(data[cut:])


@pytest.mark.parametrize("name", GOOD)
def test_an_answer_that_breaks_off_is_malformed_wherever_it_does(name: str) -> None:
    data = GOOD[name][0]
    for cut in range(1, len(data)):
        reader = AnswerReader(MOST)
        assert not reader.feed(data[:cut])
        with pytest.raises(UpstreamFailure) as caught:
            reader.end(clean=True)
        assert caught.value.kind == "upstream_malformed"


def test_no_answer_at_all_and_a_reset_are_told_apart_from_an_end() -> None:
    reader = AnswerReader(MOST)
    with pytest.raises(UpstreamFailure) as caught:
        reader.end(clean=True)
    assert (caught.value.kind, caught.value.retryable) == ("upstream_unreachable", True)
    reader.feed(OK + b"\r\n{}")
    with pytest.raises(UpstreamFailure) as caught:
        reader.end(clean=False)
    assert caught.value.kind == "upstream_malformed"


# --- limits ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param((OK + b"X: " + b"y" * 40_000,), id="a header without end"),
        pytest.param((OK + b"X: " + b"y" * 40_000 + b"\r\n\r\n",), id="a long header"),
        pytest.param((OK, *[b"X: yyyyyyyyyyyyyy\r\n"] * 3_000), id="headers without end"),
        pytest.param((OK + b"X: y\r\n" * 300 + b"\r\n",), id="the same header again and again"),
        pytest.param(
            (OK + b"".join(b"x%d: y\r\n" % n for n in range(300)) + b"\r\n",), id="many headers"
        ),
        pytest.param((b"\r\n" * 20_000,), id="line ends"),
        pytest.param((b"HTTP/1.1 200 " + b"x" * 40_000,), id="a reason without end"),
        pytest.param((b"HTTP/1.1 100 x\r\n\r\n",) * 3_000, id="interim answers without end"),
        pytest.param((b"HTTP/1.1 100 x\r\nX: y\r\n\r\n" * 3_000,), id="interim answers in one"),
        pytest.param((CHUNKED + b"2;" + b"x" * 20_000, b"x" * 20_000), id="a chunk's extension"),
        pytest.param(
            (CHUNKED + b"2\r\n{}\r\n0\r\n", *[b"X: " + b"y" * 9_000 + b"\r\n"] * 9), id="trailers"
        ),
    ],
)
def test_a_head_has_an_end(parts: tuple[bytes, ...]) -> None:
    reader = AnswerReader(MOST)
    with pytest.raises(UpstreamFailure) as caught:
        for part in parts:
            assert not reader.feed(part)
    assert caught.value.kind == "upstream_malformed"
    assert "too large" in str(caught.value)


@pytest.mark.parametrize("encoding", [b"", b"gzip", b"deflate"])
def test_an_answer_of_just_the_limit_is_read_and_one_byte_more_is_not(encoding: bytes) -> None:
    pack = {b"": bytes, b"gzip": gzip.compress, b"deflate": zlib.compress}[encoding]
    more = b"Content-Encoding: %b\r\n" % encoding if encoding else b""
    assert len(read(length(pack(b" " * MOST), more))[0].body) == MOST
    failure = refused(length(pack(b" " * (MOST + 1)), more))
    assert (failure.kind, failure.status) == ("upstream_too_large", 200)
    assert "100,000 bytes" in str(failure)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "bare"])
def test_a_bomb_is_refused_in_bounded_memory(encoding: str) -> None:
    packer = zlib.compressobj(9, wbits={"gzip": 31, "deflate": 15, "bare": -15}[encoding])
    parts = [packer.compress(b" " * 65_536) for _ in range(1_024)]
    packed = b"".join([*parts, packer.flush()])
    name = b"gzip" if encoding == "gzip" else b"deflate"
    data = length(packed, b"Content-Encoding: %b\r\n" % name)
    tracemalloc.start()
    try:
        failure = refused(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert failure.kind == "upstream_too_large"
    assert peak < 4 * 1024 * 1024


def test_an_answer_in_tiny_chunks_takes_no_more_memory_than_its_bytes() -> None:
    reader = AnswerReader(1_000_000)
    chunks = b"2\r\n{}\r\n" * 1_000
    reader.feed(CHUNKED)
    tracemalloc.start()
    try:
        for _ in range(400):
            assert not reader.feed(chunks)
        assert reader.feed(b"0\r\n\r\n")
        assert len(reader.taken().body) == 800_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4_000_000


def test_packed_bytes_that_unpack_to_nothing_have_a_limit_too() -> None:
    empty = b"\x00\x00\x00\xff\xff" * 30_000  # stored blocks of no bytes
    packed = zlib.compress(b"")[:2] + empty
    failure = refused(length(packed, b"Content-Encoding: deflate\r\n"))
    assert failure.kind == "upstream_too_large"


@pytest.mark.parametrize("more", [b"", b"Content-Encoding: gzip\r\n", b"Content-Encoding: br\r\n"])
@pytest.mark.parametrize("body", [b" " * 1_000_000, b"{}", b""])
def test_of_a_refusal_its_status_counts_whatever_its_body_is(more: bytes, body: bytes) -> None:
    answer, _ = read(length(body, more, b"429 Slow"))
    assert answer.status == 429
    assert len(answer.body) <= 65_536


def test_more_of_a_large_answer_is_kept_only_when_there_is_room() -> None:
    asked: list[tuple[int, int]] = []

    def room(size: int, status: int) -> None:
        asked.append((size, status))
        if sum(size for size, _ in asked) > 80_000:
            raise UpstreamFailure("busy", "no room", status=status)

    reader = AnswerReader(MOST)
    reader.expect(room)
    assert reader.feed(length(b" " * 60_000))
    assert asked == []
    reader.expect(room)
    reader.feed(OK + b"Content-Length: 99000\r\n\r\n" + b" " * 70_000)
    with pytest.raises(UpstreamFailure) as caught:
        reader.feed(b" " * 20_000)
    assert (caught.value.kind, asked) == ("busy", [(70_000, 200), (20_000, 200)])


def test_a_fault_of_our_own_is_not_taken_for_the_providers() -> None:
    def broken(size: int, status: int) -> None:
        raise KeyError("ours")

    reader = AnswerReader(MOST)
    reader.expect(broken)
    with pytest.raises(KeyError):
        reader.feed(length(b" " * 70_000))


# --- anything at all -------------------------------------------------------------------------

FUZZ = int(os.environ.get("FUZZ", "20000"))
SEED = int(os.environ.get("FUZZ_SEED", "11"))
WORDS = (
    b"\r\n", b"\r\n\r\n", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 x\r\n\r\n", b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Content-Encoding: gzip\r\n", b"Connection: close\r\n",
    b"0\r\n\r\n", b"5\r\n", b"ffffffff\r\n", b"\x00", b"\n", b" ", b":", PACKED, b"stolen",
)  # fmt: skip


def _mutated(data: bytes, chance: random.Random) -> bytes:
    for _ in range(chance.randint(1, 4)):
        place = chance.randint(0, len(data))
        until = min(len(data), place + chance.choice((0, 1, 2, 9)))
        with_ = chance.choice((chance.choice(WORDS), chance.randbytes(chance.randint(0, 3)), b""))
        data = data[:place] + with_ + data[until:]
    return data


def _pieces(data: bytes, chance: random.Random) -> list[bytes]:
    cuts = sorted({0, len(data), *(chance.randint(0, len(data)) for _ in range(3))})
    return [data[start:stop] for start, stop in pairwise(cuts)]


def test_whatever_comes_it_is_an_answer_or_a_failure_and_the_next_answer_is_untouched() -> None:
    chance = random.Random(SEED)
    good = [data for data, _, _ in GOOD.values()] + list(BAD.values())
    mine = Answer(200, {"only": "this", "content-length": "4"}, b"mine")
    counted = {"answer": 0, "failure": 0, "unfinished": 0}
    for _ in range(FUZZ):
        data = _mutated(chance.choice(good), chance)
        reader = AnswerReader(5_000)
        try:
            complete = False
            for piece in _pieces(data, chance):
                if complete:  # what comes unasked ends a connection; see http_connection.py
                    break
                complete = reader.feed(piece)
            if not complete:
                counted["unfinished"] += 1
                reader.end(clean=bool(chance.getrandbits(1)))
            answer = reader.taken()
        except UpstreamFailure as failure:
            counted["failure"] += 1
            kinds = (
                ("upstream_malformed", "upstream_too_large") if data else ("upstream_unreachable",)
            )
            assert failure.kind in kinds, data
            continue
        counted["answer"] += 1
        assert 200 <= answer.status <= 999, data
        assert len(answer.body) <= 65_536, data
        assert all(name == name.lower() and "\n" not in name for name in answer.headers), data
        assert not any("\n" in value or "\r" in value for value in answer.headers.values()), data
        if reader.reusable:
            reader.expect(None)
            assert reader.feed(length(b"mine", b"Only: this\r\n")), data
            assert reader.taken() == mine, data
    assert min(counted.values()) > FUZZ / 50, counted
