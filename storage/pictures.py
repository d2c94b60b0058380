"""How large a picture is, by as much of its beginning as says so."""

import warnings
from collections.abc import AsyncGenerator

from PIL import Image, ImageFile

MOST_BYTES = 4 * 1024 * 1024
"""A file that has not said by then how large its picture is never will."""


async def dimensions(chunks: AsyncGenerator[bytes, None]) -> tuple[int, int] | None:
    """Width and height in pixels; None if it is no picture, or a damaged one."""
    parser, read = ImageFile.Parser(), 0
    try:
        async for chunk in chunks:
            read += len(chunk)
            size = _feed(parser, chunk)
            if size is not None:
                return size
            if read > MOST_BYTES:
                return None
    finally:
        await chunks.aclose()
    return None


def _feed(parser: ImageFile.Parser, chunk: bytes) -> tuple[int, int] | None:
    try:
        with warnings.catch_warnings():
            # a large picture is fine: it is not decoded
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            parser.feed(chunk)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    return parser.image.size if parser.image is not None else None
