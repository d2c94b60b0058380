"""The pictures of the demo: moths on a lit sheet at a few stations, the same bytes each time."""

import io
import os
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import cache
from itertools import product
from pathlib import Path

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

from demo.moths import SPECIES, Species, painted

SEED = 1146
WIDTH, HEIGHT = 1024, 768
FIRST_NIGHT = date(2024, 7, 5)
"""A new moon, when most come to a lamp."""
NIGHTS = 3
PICTURES = 8
"""Of one night."""
APART = timedelta(minutes=30)
MORE_OR_LESS = timedelta(minutes=5)
MOTHS = (5, 8)
"""Of one night, from and to."""
EARLY = 3
"""Of those, how many are there when it begins; the others come later."""
NOISY = WIDTH * HEIGHT // 1000
"""Pixels of a picture that are off."""
LAMPS = (
    ((255, 251, 238), (184, 172, 150)),
    ((248, 251, 255), (160, 168, 190)),
    ((251, 248, 255), (172, 162, 190)),
)
"""What they make of a white sheet, near and far."""

_COLUMNS, _ROWS = 4, 3
"""Of the cells that moths keep to, each a square."""
_CELL = WIDTH / _COLUMNS
_MARGIN = 46


@dataclass(frozen=True)
class Moth:
    """One, as it sits on the sheet."""

    species: Species
    size: int
    cell: int
    """The part of the sheet that it keeps to, so that no two sit on each other; x and y are from its corner."""
    x: float
    y: float
    turned: float
    """Degrees, against the clock."""

    @property
    def centre(self) -> tuple[int, int]:
        row, column = divmod(self.cell, _COLUMNS)
        return round(column * _CELL + self.x), round(row * _CELL + self.y)


@dataclass(frozen=True)
class Picture:
    """What is on one, and where it lies."""

    station: str
    night: date
    taken_at: datetime
    moths: tuple[Moth, ...]

    @property
    def key(self) -> str:
        return f"{self.station}/session_{self.night}_capture_{self.taken_at:%Y%m%d%H%M%S}.jpg"


def draw(folder: Path, stations: Iterable[str]) -> int:
    """Draw what is not there yet, into a folder a station; gives how many pictures that were."""
    drawn = 0
    for picture in (each for station in stations for each in pictures(station)):
        path = folder / picture.key
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(path, jpeg(picture))
            drawn += 1
    return drawn


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all: until it is whole it has a name that no sync takes for a picture's."""
    begun = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        begun.write_bytes(content)
        begun.replace(path)
    finally:
        begun.unlink(missing_ok=True)


def pictures(station: str) -> Iterator[Picture]:
    """Those of a station, night by night."""
    for night in (FIRST_NIGHT + timedelta(days=each) for each in range(NIGHTS)):
        lot = random.Random(f"{SEED} {station} {night}")
        moths = _arriving(lot)
        taken_at = datetime(night.year, night.month, night.day, 22)  # noqa: DTZ001 - the station's clock
        for number in range(PICTURES):
            there = [moth for after, moth in moths if after <= number]
            yield Picture(station, night, taken_at, tuple(there))
            moths = [(after, _moved(lot, moth)) for after, moth in moths]
            taken_at += APART + timedelta(seconds=round(lot.uniform(-1, 1) * MORE_OR_LESS.total_seconds()))


def _arriving(lot: random.Random) -> list[tuple[int, Moth]]:
    """The moths of a night, each with the number of the picture that it is on first."""
    cells = lot.sample(range(_COLUMNS * _ROWS), lot.randint(*MOTHS))
    # not more than two of a kind
    kinds = lot.sample(SPECIES * 2, len(cells))
    return [
        (0 if place < EARLY else lot.randrange(PICTURES - 1), _settled(lot, species, cell))
        for place, (species, cell) in enumerate(zip(kinds, cells, strict=True))
    ]


def _settled(lot: random.Random, species: Species, cell: int) -> Moth:
    x, y = (lot.uniform(_MARGIN, _CELL - _MARGIN) for _ in range(2))
    return Moth(species, lot.randint(*species.size), cell, x, y, lot.uniform(0, 360))


def _moved(lot: random.Random, moth: Moth) -> Moth:
    """The same half an hour later: most have crawled a little, some far."""
    far = lot.choice((8, 8, 20, 60))
    x, y = (min(max(at + lot.gauss(0, far), _MARGIN), _CELL - _MARGIN) for at in (moth.x, moth.y))
    return replace(moth, x=x, y=y, turned=moth.turned + lot.gauss(0, far))


def jpeg(picture: Picture) -> bytes:
    """It, drawn."""
    image = _sheet(picture.station).copy()
    for moth in picture.moths:
        put(image, moth)
    _add_noise(image, random.Random(f"{SEED} {picture.key}"))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=88)
    return file.getvalue()


def put(image: Image.Image, moth: Moth) -> None:
    """Onto the sheet, with the shadow that it throws there."""
    turned = _sized(moth.species, 2 * moth.size)
    turned = turned.rotate(moth.turned, Image.Resampling.BICUBIC, expand=True).reduce(2)
    x, y = moth.centre[0] - turned.width // 2, moth.centre[1] - turned.height // 2
    shadow = Image.new("L", (turned.width + 16, turned.height + 16))
    shadow.paste(turned.getchannel("A"), (8, 8))
    shadow = shadow.filter(ImageFilter.GaussianBlur(3)).point(lambda v: v * 45 // 100)
    image.paste((38, 34, 52), (x - 5, y - 2), shadow)
    image.paste(turned, (x, y), turned)


@cache
def _sized(species: Species, size: int) -> Image.Image:
    """A moth with that many pixels from end to end."""
    moth = painted(species)
    moth = moth.crop(moth.getbbox())
    return ImageOps.contain(moth, (size, size), Image.Resampling.LANCZOS)


def _add_noise(image: Image.Image, lot: random.Random) -> None:
    """Pixels that are off: the sensor's, and midges."""
    draw = ImageDraw.Draw(image)
    for _ in range(NOISY):
        grey = int(lot.random() * 256)
        draw.point((int(lot.random() * WIDTH), int(lot.random() * HEIGHT)), (grey, grey, grey))


@cache
def _sheet(station: str) -> Image.Image:
    """The sheet of a station: a cloth that hangs in folds, brightest where its lamp shines."""
    lot = random.Random(f"{SEED} cloth of {station}")
    light, dark = lot.choice(LAMPS)
    near, far = (Image.new("RGB", (WIDTH, HEIGHT), colour) for colour in (light, dark))
    cloth = Image.composite(far, near, _dimness(lot))
    cloth = ImageChops.multiply(cloth, _folds(lot).convert("RGB"))
    return ImageChops.multiply(cloth, _weave(lot).convert("RGB"))


def _dimness(lot: random.Random) -> Image.Image:
    """How little light of the lamp there is."""
    around = Image.radial_gradient("L").resize((2 * WIDTH, 2 * HEIGHT), Image.Resampling.BICUBIC)
    left, top = round(WIDTH * lot.uniform(0.4, 0.6)), round(HEIGHT * lot.uniform(0.45, 0.65))
    part = around.crop((left, top, left + WIDTH, top + HEIGHT))
    return part.point(lambda v: min(255, v * v * 2 // 128))


def _folds(lot: random.Random) -> Image.Image:
    folds = Image.new("L", (WIDTH // 8, HEIGHT // 8), 250)
    draw = ImageDraw.Draw(folds)
    for _ in range(7):
        top, bottom = lot.uniform(-10, folds.width + 10), lot.uniform(-18, 18)
        draw.line((top, 0, top + bottom, folds.height), lot.choice((226, 232, 255)), lot.randint(1, 4))
    blurred = folds.filter(ImageFilter.GaussianBlur(2.5))
    return blurred.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)


def _weave(lot: random.Random) -> Image.Image:
    side = 128
    threads = Image.frombytes("L", (side, side), lot.randbytes(side * side))
    threads = threads.point(lambda v: 246 + v * 9 // 255)
    weave = Image.new("L", (WIDTH, HEIGHT))
    for x, y in product(range(0, WIDTH, side), range(0, HEIGHT, side)):
        weave.paste(threads, (x, y))
    return weave
