"""Where captures lie, and which objects are captures."""

import pytest

from storage.places import Captures, InvalidRegex, folder, uri


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


@pytest.mark.parametrize("key", ["a.jpg", "A.JPEG", "20230801123000jpg", "x/y.tiff", "night.jpg/moth.png"])
def test_pictures_are_captures(key: str) -> None:
    assert Captures.matching(None).have(key, 1)


@pytest.mark.parametrize(
    ("key", "size"), [("a.jpg", 0), ("a.txt", 5), ("jpg/", 5), ("", 5), ("a.jpg.bak", 5)]
)
def test_what_is_empty_or_no_picture_is_none(key: str, size: int) -> None:
    assert not Captures.matching("").have(key, size)


def test_the_expression_is_sought_in_the_whole_key() -> None:
    captures = Captures.matching("night-[12]")

    assert captures.have("station/night-1/a.jpg", 1)
    assert not captures.have("station/night-3/a.jpg", 1)


def test_an_expression_that_is_none_is_refused_with_the_reason() -> None:
    with pytest.raises(InvalidRegex, match="unterminated"):
        Captures.matching("[a")


def test_an_expression_that_takes_too_long_is_given_up() -> None:
    captures = Captures.matching("(a|aa)+$")

    with pytest.raises(InvalidRegex, match="too long"):
        captures.have("a" * 60 + "!.jpg", 1)
