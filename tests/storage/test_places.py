"""Where captures lie, and which objects are captures."""

import pytest

from storage import patterns
from storage.patterns import InvalidRegex
from storage.places import Captures, folder, uri


@pytest.mark.parametrize(
    ("prefix", "subdir", "expected"),
    [
        ("", "/", ""),
        ("", None, ""),
        ("/", "", ""),
        ("proj/", "dep_1", "proj/dep_1/"),
        ("proj", "/", "proj/"),
        ("/proj/", "/a/b/", "proj/a/b/"),
    ],
)
def test_prefix_and_subdirectory_are_joined_by_one_slash(
    prefix: str, subdir: str | None, expected: str
) -> None:
    assert folder(prefix, subdir) == expected


def test_the_uri_names_bucket_folder_and_expression() -> None:
    assert uri(None, "ami-test", "demo", "station-1", r".*\.jpe?g$") == (
        "s3://ami-test/demo/station-1/?regex=.%2A%5C.jpe%3Fg%24"
    )
    assert uri("https://s3.example.org", "ami-test", "") == "s3://ami-test/"
    assert uri("file:///mnt/nas/", "captures", "demo") == "file:captures/demo/"


async def is_capture(key: str, size: int, expression: str | None = None) -> bool:
    captures = await Captures.matching(expression)
    return await captures.first([(key, size)]) == 0


@pytest.mark.parametrize("key", ["a.jpg", "A.JPEG", "20230801123000jpg", "x/y.tiff", "night.jpg/moth.png"])
async def test_pictures_are_captures(key: str) -> None:
    assert await is_capture(key, 1)


@pytest.mark.parametrize(
    ("key", "size"), [("a.jpg", 0), ("a.txt", 5), ("jpg/", 5), ("", 5), ("a.jpg.bak", 5)]
)
async def test_what_is_empty_or_no_picture_is_none(key: str, size: int) -> None:
    assert not await is_capture(key, size, "")


async def test_the_expression_is_sought_in_the_whole_key() -> None:
    assert await is_capture("station/night-1/a.jpg", 1, "night-[12]")
    assert not await is_capture("station/night-3/a.jpg", 1, "night-[12]")


async def test_the_first_capture_is_found_however_many_others_come_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(patterns, "AT_ONCE", 2)
    captures = await Captures.matching("[789]")
    objects = [(f"{number}.jpg", number % 2) for number in range(10)]

    assert await captures.first(objects) == 7
    assert await captures.first(objects[:7]) is None


async def test_an_expression_that_is_none_is_refused_with_the_reason() -> None:
    with pytest.raises(InvalidRegex, match="missing ]"):
        await Captures.matching("[a")
