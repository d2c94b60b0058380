"""How large a picture is, by as little of it as says so."""

import io
import zlib
from collections.abc import AsyncGenerator

import pytest
from PIL import Image

from storage.pictures import dimensions


async def in_chunks(content: bytes, size: int, read: list[int]) -> AsyncGenerator[bytes, None]:
    for begin in range(0, len(content), size):
        read.append(begin)
        yield content[begin : begin + size]


def picture(kind: str, size: tuple[int, int] = (1024, 768)) -> bytes:
    written = io.BytesIO()
    Image.effect_noise(size, 50).convert("RGB").save(written, kind)
    return written.getvalue()


@pytest.mark.parametrize("kind", ["jpeg", "png", "gif", "bmp", "tiff", "webp"])
@pytest.mark.parametrize("chunk", [64 * 1024, 100])
async def test_every_kind_of_picture_says_how_large_it_is(kind: str, chunk: int) -> None:
    found = await dimensions(in_chunks(picture(kind, (128, 96)), chunk, []))

    assert found == (128, 96)


async def test_no_more_is_read_than_is_needed() -> None:
    read: list[int] = []

    assert await dimensions(in_chunks(picture("jpeg", (4000, 3000)), 64 * 1024, read)) == (4000, 3000)
    assert read == [0]


# what begins as a picture of a kind that captures never are
OTHER = b"DDS |\0\0\0" + bytes(120)


@pytest.mark.parametrize(
    "content", [b"", b"no picture", picture("jpeg")[:100], b"<svg></svg>", b"\xff" * 9000, OTHER]
)
async def test_what_is_no_picture_or_is_damaged_has_no_size(content: bytes) -> None:
    assert await dimensions(in_chunks(content, 1000, [])) is None


async def test_a_file_that_never_says_is_given_up() -> None:
    read: list[int] = []

    assert await dimensions(in_chunks(bytes(20 * 1024 * 1024), 1024 * 1024, read)) is None
    assert len(read) < 8


async def test_a_picture_too_large_to_decode_is_measured_all_the_same() -> None:
    head = bytearray(picture("png", (8, 8)))
    head[16:24] = (60_000).to_bytes(4, "big") + (1_400).to_bytes(4, "big")
    # the checksum of the changed header
    head[29:33] = zlib.crc32(bytes(head[12:29])).to_bytes(4, "big")

    assert await dimensions(in_chunks(bytes(head), 1000, [])) == (60_000, 1_400)
