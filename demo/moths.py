"""Moths as a lamp shows them from above: shapes, colours and patterns of a few species, drawn with Pillow."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

Colour = tuple[int, int, int]
Outline = Sequence[tuple[float, float]]

SIDE = 320
"""Pixels of the square that a moth is painted in, several times as large as it is shown."""
UNIT = SIDE * 0.46
"""Pixels of half a wingspan: shapes are given in these, from the middle, right and tail positive."""
_STEPS = 10


@dataclass(frozen=True)
class Posture:
    """How the right wings lie; the left ones mirror them."""

    fore: Outline
    hind: Outline
    root: tuple[float, float]
    """Where the wings begin: bands and veins go round it and out from it."""
    body: tuple[float, float, float]
    """Where the head and the tail are, and half the width between."""


FLAT = Posture(
    fore=((0.03, -0.22), (0.45, -0.46), (0.97, -0.55), (0.88, -0.16), (0.62, 0.10), (0.06, 0.06)),
    hind=((0.04, -0.02), (0.62, 0.00), (0.80, 0.26), (0.62, 0.56), (0.30, 0.60), (0.06, 0.34)),
    root=(0.03, -0.16),
    body=(-0.34, 0.46, 0.075),
)
SWEPT = Posture(
    fore=((0.03, -0.34), (0.40, -0.26), (0.92, 0.30), (0.62, 0.36), (0.30, 0.30), (0.05, 0.10)),
    hind=((0.05, -0.05), (0.40, 0.16), (0.52, 0.42), (0.28, 0.46), (0.06, 0.34)),
    root=(0.03, -0.30),
    body=(-0.50, 0.72, 0.115),
)
FOLDED = Posture(
    fore=((0.02, -0.38), (0.26, -0.34), (0.48, 0.12), (0.60, 0.62), (0.30, 0.74), (0.01, 0.50)),
    hind=((0.05, 0.10), (0.36, 0.30), (0.50, 0.66), (0.28, 0.78), (0.02, 0.60)),
    root=(0.03, -0.36),
    body=(-0.56, 0.52, 0.105),
)


@dataclass(frozen=True)
class Species:
    """What one looks like."""

    name: str
    posture: Posture
    size: tuple[int, int]
    """Pixels from end to end, from and to."""
    fore: tuple[Colour, Colour]
    """Of the fore wings, at the root and at the rim."""
    hind: tuple[Colour, Colour]
    body: Colour
    bands: Sequence[tuple[float, float, Colour]] = ()
    """Across the fore wings: how far out, how wide."""
    spots: Sequence[tuple[float, float, float, Colour]] = ()
    """Where, to the right and down, how large."""
    feathered: bool = False
    """Its antennae."""


SPECIES = (
    Species(
        "Rosy maple moth",
        SWEPT,
        (42, 52),
        fore=((233, 92, 140), (240, 110, 152)),
        hind=((250, 218, 110), (246, 196, 120)),
        body=(250, 208, 92),
        bands=((0.52, 0.34, (252, 216, 104)),),
        feathered=True,
    ),
    Species(
        "Large emerald",
        FLAT,
        (54, 60),
        fore=((92, 160, 96), (128, 188, 124)),
        hind=((128, 186, 122), (156, 204, 144)),
        body=(196, 214, 176),
        bands=((0.36, 0.03, (236, 244, 220)), (0.74, 0.035, (236, 244, 220))),
        spots=((0.42, -0.26, 0.035, (58, 112, 66)),),
        feathered=True,
    ),
    Species(
        "Garden tiger",
        SWEPT,
        (50, 60),
        fore=((92, 58, 40), (74, 44, 32)),
        hind=((226, 96, 40), (238, 120, 52)),
        body=(110, 52, 34),
        bands=(
            (0.30, 0.055, (246, 236, 214)),
            (0.60, 0.060, (246, 236, 214)),
            (0.92, 0.055, (246, 236, 214)),
        ),
        spots=((0.30, 0.30, 0.05, (30, 36, 66)), (0.42, 0.38, 0.045, (30, 36, 66))),
    ),
    Species(
        "White ermine",
        FOLDED,
        (38, 46),
        fore=((250, 248, 240), (236, 232, 220)),
        hind=((240, 236, 226), (228, 224, 212)),
        body=(252, 250, 242),
        spots=tuple(
            (x, y, 0.028, (40, 36, 36))
            for x, y in (
                (0.14, -0.20),
                (0.24, -0.02),
                (0.12, 0.06),
                (0.36, 0.20),
                (0.20, 0.28),
                (0.46, 0.46),
                (0.30, 0.50),
                (0.14, 0.46),
                (0.40, 0.64),
            )
        ),
        feathered=True,
    ),
    Species(
        "Elephant hawk-moth",
        SWEPT,
        (54, 60),
        fore=((150, 146, 74), (176, 156, 92)),
        hind=((214, 92, 128), (226, 120, 150)),
        body=(168, 152, 84),
        bands=((0.66, 0.05, (214, 96, 132)), (0.99, 0.16, (214, 88, 128))),
    ),
    Species(
        "Yellow underwing",
        FOLDED,
        (42, 54),
        fore=((122, 92, 66), (156, 124, 92)),
        hind=((236, 178, 60), (226, 160, 48)),
        body=(120, 90, 66),
        bands=((0.34, 0.03, (88, 64, 46)), (0.86, 0.035, (196, 168, 130)), (1.08, 0.05, (96, 70, 50))),
        spots=((0.26, 0.08, 0.055, (84, 60, 44)), (0.34, 0.30, 0.06, (70, 50, 38))),
    ),
    Species(
        "Peppered moth",
        FLAT,
        (44, 56),
        fore=((226, 222, 212), (206, 202, 194)),
        hind=((222, 218, 208), (200, 196, 190)),
        body=(150, 146, 140),
        bands=((0.30, 0.05, (92, 88, 86)), (0.56, 0.03, (110, 106, 102)), (0.80, 0.05, (88, 84, 82))),
        spots=(
            (0.60, -0.30, 0.05, (70, 66, 64)),
            (0.46, 0.26, 0.045, (96, 92, 90)),
            (0.62, 0.36, 0.05, (86, 82, 80)),
        ),
        feathered=True,
    ),
)
"""Those that come to the demo's lamps, not one to a scale."""


@cache
def painted(species: Species) -> Image.Image:
    """One with its head up, in colour and alpha, `SIDE` pixels wide and high."""
    moth = Image.new("RGBA", (SIDE, SIDE))
    for outline, colours, marked in (
        (species.posture.hind, species.hind, False),
        (species.posture.fore, species.fore, True),
    ):
        right = _wing(species, outline, colours, marked)
        moth.alpha_composite(right)
        moth.alpha_composite(ImageOps.mirror(right))
    _antennae(moth, species)
    moth.alpha_composite(_body(species))
    return moth


def _at(x: float, y: float) -> tuple[float, float]:
    return SIDE / 2 + x * UNIT, SIDE / 2 + y * UNIT


def _round(x: float, y: float, radius: float, down: float | None = None) -> tuple[float, float, float, float]:
    """The box of a circle, or of an ellipse that reaches so far down."""
    down = radius if down is None else down
    return (*_at(x - radius, y - down), *_at(x + radius, y + down))


def _smooth(corners: Outline) -> list[tuple[float, float]]:
    """A closed curve through the corners (Catmull and Rom's), in pixels."""
    found = []
    for place in range(len(corners)):
        a, b, c, d = (corners[(place + step) % len(corners)] for step in (-1, 0, 1, 2))
        for step in range(_STEPS):
            t = step / _STEPS
            x, y = (
                q + 0.5 * t * (r - p + t * (2 * p - 5 * q + 4 * r - s + t * (3 * (q - r) + s - p)))
                for p, q, r, s in zip(a, b, c, d, strict=True)
            )
            found.append(_at(x, y))
    return found


def _wing(species: Species, outline: Outline, colours: tuple[Colour, Colour], marked: bool) -> Image.Image:
    curve = _smooth(outline)
    mask = Image.new("L", (SIDE, SIDE))
    ImageDraw.Draw(mask).polygon(curve, fill=255)
    wing = _outward(species.posture.root, colours)
    draw = ImageDraw.Draw(wing, "RGBA")
    root = species.posture.root
    for out, width, colour in species.bands if marked else ():
        box = _round(*root, out + width / 2)
        draw.arc(box, 0, 360, fill=colour, width=max(2, round(width * UNIT)))
    for x, y, size, colour in species.spots:
        draw.ellipse(_round(x, y, size), fill=colour)
    for point in curve[:: _STEPS // 2]:
        draw.line((*_at(*root), *point), fill=(30, 20, 10, 34), width=2)
    wing = wing.filter(ImageFilter.GaussianBlur(1.2))
    # darker towards its rim, as a wing is that bends down
    inside = mask.filter(ImageFilter.GaussianBlur(9)).point(lambda v: 118 + v * 137 // 255)
    wing = ImageChops.multiply(wing, Image.merge("RGB", (inside, inside, inside)))
    wing.putalpha(mask)
    return wing


def _outward(root: tuple[float, float], colours: tuple[Colour, Colour]) -> Image.Image:
    """One colour at the root that becomes another towards the rim."""
    far = Image.radial_gradient("L").resize((2 * SIDE, 2 * SIDE))
    x, y = (round(each) for each in _at(*root))
    far = far.crop((SIDE - x, SIDE - y, 2 * SIDE - x, 2 * SIDE - y)).point(lambda v: min(255, v * 2))
    near, rim = (Image.new("RGB", (SIDE, SIDE), colour) for colour in colours)
    return Image.composite(rim, near, far)


def _body(species: Species) -> Image.Image:
    """A furry spindle with a head, lit from above and ringed towards its tail."""
    head, tail, half = species.posture.body
    body = Image.new("RGBA", (SIDE, SIDE))
    draw = ImageDraw.Draw(body)
    dark = tuple(each * 6 // 10 for each in species.body)
    middle, shoulders = (head + tail) / 2 + 0.08, head + 0.24
    draw.ellipse(_round(0, middle, half, (tail - head) / 2 - 0.08), fill=species.body)
    for ring in range(4):
        y = shoulders + 0.2 + ring * (tail - shoulders - 0.2) / 5
        draw.arc(_round(0, y, half * 1.1, half * 0.8), 20, 160, fill=(*dark, 255), width=3)
    draw.ellipse(_round(0, shoulders, half * 1.45, 0.17), fill=species.body)
    draw.ellipse(_round(0, head + 0.06, half * 0.8), fill=(*dark, 255))
    light = Image.new("RGBA", (SIDE, SIDE))
    ImageDraw.Draw(light).ellipse(_round(0, shoulders, half * 0.8, 0.11), fill=(255, 255, 255, 90))
    alpha = body.getchannel("A")
    edge = alpha.filter(ImageFilter.GaussianBlur(5)).point(lambda v: 110 + v * 145 // 255)
    shaded = ImageChops.multiply(body.convert("RGB"), Image.merge("RGB", (edge, edge, edge))).convert("RGBA")
    shaded.alpha_composite(light.filter(ImageFilter.GaussianBlur(5)))
    shaded.putalpha(alpha.filter(ImageFilter.GaussianBlur(1.5)))
    return shaded


def _antennae(moth: Image.Image, species: Species) -> None:
    draw = ImageDraw.Draw(moth)
    head = species.posture.body[0]
    colour = (*(each * 5 // 10 for each in species.body), 255)
    for side in (-1, 1):
        points = [(side * (0.03 + 0.30 * t), head - 0.02 - 0.30 * math.sin(t * 1.3)) for t in _parts(8)]
        draw.line([_at(*point) for point in points], fill=colour, width=5)
        for x, y in points[1:] if species.feathered else ():
            draw.line((*_at(x, y), *_at(x + side * 0.02, y + 0.09)), fill=colour, width=3)


def _parts(count: int) -> list[float]:
    return [place / count for place in range(count + 1)]
