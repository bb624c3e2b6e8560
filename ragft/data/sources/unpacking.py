"""Bodies of answers, unpacked in steps so that a small one cannot grow past the limit before anyone looks."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from ragft.data.sources.found import TooLargeError, UnreadableError

GZIP = b"\x1f\x8b"
GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
RAW_DEFLATE = -zlib.MAX_WBITS


def body(chunks: Iterable[bytes], encoding: str, limit: int) -> bytes:
    """Return the body of an answer, unpacked from gzip or deflate; raises UnreadableError above `limit` bytes."""
    match encoding.strip().lower():
        case "" | "identity":
            return _joined(chunks, limit)
        case "gzip" | "x-gzip" | "deflate":
            return _joined(_inflated(chunks, limit), limit)
        case other:
            raise UnreadableError(f"the answer is packed as {other!r}, which was not asked for")


def gunzipped(raw: bytes, limit: int) -> bytes:
    """Return what a gzip file holds; raises UnreadableError above `limit` bytes."""
    return body([raw], "gzip", limit)


def _joined(chunks: Iterable[bytes], limit: int) -> bytes:
    parts: list[bytes] = []
    left = limit
    for chunk in chunks:
        left -= len(chunk)
        if left < 0:
            raise TooLargeError(f"over the limit of {limit / 1e6:g} MB (max_megabytes)")
        parts.append(chunk)
    return b"".join(parts)


def _inflated(chunks: Iterable[bytes], limit: int) -> Iterator[bytes]:
    unpack = None
    for chunk in chunks:
        if unpack is None:
            unpack = zlib.decompressobj(_window_bits(chunk))
        try:
            yield unpack.decompress(chunk, limit + 1)  # one more than the limit is enough to be over it
        except zlib.error:
            raise UnreadableError("the packed answer is broken") from None
    if unpack is not None and not unpack.eof:
        raise UnreadableError("the packed answer is cut off")


def _window_bits(start: bytes) -> int:
    """Return how a stream is to be read: servers send `deflate` with the header of zlib, as prescribed, or bare."""
    has_header = start[:2] == GZIP or (len(start) > 1 and start[0] & 15 == 8 and (start[0] * 256 + start[1]) % 31 == 0)
    return GZIP_OR_ZLIB if has_header else RAW_DEFLATE
