"""What lay in the recorded bucket, put into a real S3 server for the time of the tests."""

import io
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import obstore
from PIL import Image

from storage.buckets import store_of
from storage.sources import Source

BUCKET = "http://127.0.0.1:59000/ami-test/"
"""The public address of the recorded bucket: nothing listens there."""

RECORDED = Source(
    "ami-test",
    "demo",
    None,
    "amistorage",
    "amistorage",
    "http://127.0.0.1:59000",
    public_base_url=BUCKET,
    trusted=True,
)
"""The recorded storage source."""

_NAMES = (
    "{:%Y%m%dT%H%M%S}-{:04}.jpg",
    "{:%Y-%m-%d-%H-%M-%S}_{:04}.jpg",
    "IMG_{:%Y%m%d_%H%M%S}.jpg",
    "NSCF----_{:%y%m%d%H%M%S}_{:04}.JPG",
    "84-{:%Y%m%d%H%M%S}-snapshot.jpeg",
)
"""How cameras name their pictures, one after the other."""

ODD = (
    "19991231235959.jpg",
    # when another picture was taken too
    "20230801223000.jpg",
    "20230801223100.jpg",
    # no times
    "20230899999999.jpg",
    "DSC_1974.jpg",
    "no-timestamp.jpg",
    # no picture
    "notes.txt",
)


def keys() -> Iterator[str]:
    """All objects of both stations."""
    for night in range(4):
        for place in range(50):
            at = datetime(2023, 8, 1 + night, 22, 30) + timedelta(minutes=5 * place)  # noqa: DTZ001
            number = 50 * night + place
            yield f"station-1/night-{night}/{_NAMES[number % len(_NAMES)].format(at, number)}"
    yield from (f"station-1/odd/{name}" for name in ODD)
    for night in (1, 2):
        # every ten minutes, and one was left out
        yield from (
            f"station-2/202308{night:02}{time}00.jpg" for time in (2230, 2240, 2250, 2310, 2320, 2330)
        )


async def filled(s3: Source) -> Source:
    """The recorded source with everything in it, where the server is that stands for it."""
    source = replace(RECORDED, endpoint_url=s3.endpoint_url)
    picture = io.BytesIO()
    Image.new("RGB", (320, 240)).save(picture, "JPEG")
    for key in keys():
        await obstore.put_async(store_of(source), f"{source.prefix}/{key}", picture.getvalue())
    return source
