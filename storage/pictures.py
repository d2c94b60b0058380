"""How large a picture is, by as much of its beginning as says so."""

import io
import re
import struct
import warnings
from collections.abc import AsyncGenerator

from PIL import Image

FORMATS = ("BMP", "GIF", "ICO", "JPEG", "PNG", "TIFF", "WEBP")
"""Those that captures have by their names. Readers of others fail in ways of their own on what is no picture."""
OTHER = "application/octet-stream"
BEGINNING = 4096
"""Bytes of a file that say what kind of picture it is."""
_BMP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)
_PROLOGUE = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*|<!--(?:[^-]|-(?!->))*-->\s*|<!DOCTYPE\s+svg[^>]*>\s*)*"
)
MOST_BYTES = 4 * 1024 * 1024
"""A file that has not said by then how large its picture is never will."""


async def dimensions(chunks: AsyncGenerator[bytes, None]) -> tuple[int, int] | None:
    """Width and height in pixels; None if it is no picture, or a damaged one."""
    read = b""
    try:
        async for chunk in chunks:
            read += chunk
            size = _size(read)
            if size is not None or len(read) > MOST_BYTES:
                return size
    finally:
        await chunks.aclose()
    return None


def _size(beginning: bytes) -> tuple[int, int] | None:
    """What a picture that begins so says of its size; nothing is decoded."""
    try:
        with warnings.catch_warnings():
            # that it is cut off, or very large, does not matter here
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(beginning), formats=FORMATS) as picture:
                return picture.size
    except (OSError, ValueError, SyntaxError, struct.error, Image.DecompressionBombError):
        return None


def kind_of(beginning: bytes) -> str | None:
    """What a file is that begins so, of the kinds that captures are; None if it is no picture, whatever its name is.

    As a media type; of what browsers might run, or do not show, the one of any bytes.
    """
    for begins, kind in (
        # what follows differs in pictures that are damaged
        (b"\xff\xd8", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"GIF87a", "image/gif"),
        (b"GIF89a", "image/gif"),
        (b"II*\0", "image/tiff"),
        (b"MM\0*", "image/tiff"),
        (b"\0\0\1\0", OTHER),
    ):
        if beginning.startswith(begins):
            return kind
    if beginning[:4] == b"RIFF" and beginning[8:12] == b"WEBP":
        return "image/webp"
    # two letters say too little: a text may begin with them
    if beginning[:2] == b"BM" and int.from_bytes(beginning[14:18], "little") in _BMP_HEADERS:
        return "image/bmp"
    prologue = _PROLOGUE.match(beginning)
    rest = beginning[prologue.end() :] if prologue else b""
    return OTHER if re.match(rb"<svg[\s>]", rest) else None
