"""How large a picture is, by as much of its beginning as says so."""

import io
import struct
import warnings
from collections.abc import AsyncGenerator

from PIL import Image

FORMATS = ("BMP", "GIF", "ICO", "JPEG", "PNG", "TIFF", "WEBP")
"""Those that captures have by their names. Readers of others fail in ways of their own on what is no picture."""
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
