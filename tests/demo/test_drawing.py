"""The pictures of the demo: what they are, and that none is ever half there."""

import asyncio
import hashlib
import os
import signal
import sys
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image

from demo import drawing
from monitoring.file_names import taken_at
from storage.places import is_picture
from tests.processes import ROOT
from tests.waiting import until

STATIONS = ("saraguay", "ile-bizard", "mont-saint-hilaire")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all of them, drawn once."""
    folder = tmp_path_factory.mktemp("drawn")
    assert drawing.draw(folder, STATIONS) == 72
    return folder


def content(folder: Path) -> dict[str, str]:
    """What the files in a folder have in them, by name."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


async def drawing_process(folder: Path, before: str = "") -> asyncio.subprocess.Process:
    """Draws all of them, after having done something else."""
    program = f"{before}\nfrom pathlib import Path\nfrom demo import drawing\n"
    program += f"drawing.draw(Path({str(folder)!r}), {STATIONS!r})"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, env=environment, stderr=asyncio.subprocess.PIPE
    )


async def test_another_process_draws_the_same_bytes(drawn: Path, tmp_path: Path) -> None:
    process = await drawing_process(tmp_path)
    await process.communicate()

    assert content(tmp_path) == content(drawn)


def test_all_are_of_one_size_and_mostly_a_light_sheet(drawn: Path) -> None:
    for path in drawn.rglob("*.jpg"):
        with Image.open(path) as image:
            shades = image.convert("L").histogram()
            assert (image.format, image.size) == ("JPEG", (1024, 768))
            assert sum(shades[140:]) / sum(shades) > 0.97
        assert path.stat().st_size < 200_000


def test_names_say_when_they_were_taken_and_of_which_night_they_are(drawn: Path) -> None:
    counts = dict.fromkeys(STATIONS, 0)
    for station in STATIONS:
        keys = sorted(key for key in content(drawn) if key.startswith(f"{station}/"))
        for night in (drawing.FIRST_NIGHT + timedelta(days=each) for each in range(drawing.NIGHTS)):
            times = [at for key in keys if f"session_{night}_" in key and (at := taken_at(key))]
            apart = [after - before for before, after in pairwise(times)]
            assert (times[0].date(), times[0].hour, times[0].minute) == (night, 22, 0)
            assert timedelta(minutes=25) <= min(apart) <= max(apart) <= timedelta(minutes=35)
            counts[station] += len(times)

    assert counts == dict.fromkeys(STATIONS, 24)


def test_two_to_eight_moths_of_30_to_60_pixels_are_on_each_and_move() -> None:
    for station in STATIONS:
        before: dict[int, drawing.Moth] = {}
        for picture in drawing.pictures(station):
            assert 2 <= len(picture.moths) <= 8
            assert all(30 <= moth.size <= 60 for moth in picture.moths)
            there = {moth.cell: moth for moth in picture.moths}
            same_night = picture.taken_at.hour != 22
            for cell in set(there) & set(before) if same_night else ():
                assert there[cell].species == before[cell].species
                assert there[cell].centre != before[cell].centre or there[cell].turned != before[cell].turned
            before = there


def test_a_moth_is_as_large_as_it_says() -> None:
    [moth, *_] = next(drawing.pictures("saraguay")).moths
    sheet = Image.new("RGB", (drawing.WIDTH, drawing.HEIGHT), (255, 255, 255))
    drawing.put(sheet, moth)
    box = sheet.convert("L").point(lambda v: 255 * (v < 150)).getbbox()

    assert box is not None
    assert moth.size * 0.6 < max(box[2] - box[0], box[3] - box[1]) < moth.size * 1.3


def test_what_is_there_is_left_alone_and_what_is_gone_is_drawn_again(drawn: Path, tmp_path: Path) -> None:
    [first, second, *_] = drawing.pictures("saraguay")
    drawing.draw(tmp_path, ["saraguay"])
    kept = tmp_path / first.key
    kept.write_bytes(b"somebody's own")
    (tmp_path / second.key).unlink()

    assert drawing.draw(tmp_path, ["saraguay"]) == 1
    assert drawing.draw(tmp_path, ["saraguay"]) == 0
    assert kept.read_bytes() == b"somebody's own"
    assert (tmp_path / second.key).read_bytes() == (drawn / second.key).read_bytes()


async def test_who_is_killed_while_drawing_leaves_no_half_picture(drawn: Path, tmp_path: Path) -> None:
    process = await drawing_process(tmp_path)

    async def begun() -> bool:
        return any(tmp_path.rglob("*.jpg"))

    await until(begun, "a picture")
    process.send_signal(signal.SIGKILL)
    await process.wait()
    left = content(tmp_path)

    assert {key: each for key, each in left.items() if is_picture(key)}.items() <= content(drawn).items()
    drawing.draw(tmp_path, STATIONS)
    assert content(drawn).items() <= content(tmp_path).items()


async def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    limit = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))"
    process = await drawing_process(tmp_path, before=limit)
    _, errors = await process.communicate()

    assert process.returncode == 1
    assert b"File too large" in errors
    assert content(tmp_path) == {}
