"""Folders as buckets: their order is that of keys, and nothing leads out of the roots that are allowed."""

import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import folders
from storage.folders import Folders
from storage.sources import Source, StorageError
from tests.stores import WRITTEN, Bucket, folder_in

KEYS = (
    "B.jpg",
    "a-b.jpg",
    "a.jpg",
    "a/b.jpg",
    "a/b/c.jpg",
    "a/z.jpg",
    "a0.jpg",
    "ab/1.jpg",
    "ab/10.jpg",
    "ab/2.jpg",
    "sp ace.jpg",
    "é.jpg",
)


async def listed(
    allowed: Folders, source: Source, subdir: str | None = None, after: str | None = None
) -> list[str]:
    return [each.key async for page in allowed.pages(source, subdir, after) for each in page.objects]


@pytest.fixture
async def bucket(tmp_path: Path) -> Bucket:
    made = folder_in(tmp_path)
    made.source = replace(made.source, prefix="")
    await made.put({key: key.encode() for key in reversed(KEYS)})
    return made


async def test_files_come_in_the_order_of_keys_and_a_listing_goes_on_after_any_of_them(
    tmp_path: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "PAGE", 3)
    allowed = Folders([tmp_path])

    assert await listed(allowed, bucket.source) == sorted(KEYS)
    for place, key in enumerate(sorted(KEYS)):
        assert await listed(allowed, bucket.source, after=key) == sorted(KEYS)[place + 1 :]
    # between two of them, too
    assert await listed(allowed, bucket.source, after="a/c") == [key for key in sorted(KEYS) if key > "a/c"]


_NAMES = st.sampled_from(["a", "a-", "a.", "a0", "b", "ab", "ä"])


@given(st.sets(st.lists(_NAMES, min_size=1, max_size=3).map("/".join), max_size=12), st.data())
def test_any_tree_is_listed_as_its_sorted_keys(keys: set[str], data: st.DataObject) -> None:
    # a name is a file or a folder, not both
    keys = {key for key in keys if not any(other.startswith(f"{key}/") for other in keys)}
    with tempfile.TemporaryDirectory() as root:
        for key in keys:
            (Path(root) / key).parent.mkdir(parents=True, exist_ok=True)
            (Path(root) / key).touch()
        after = data.draw(st.sampled_from(sorted(keys)) | st.just("")) if keys else ""

        found = [each for each in folders._walk(root, "", after) if not isinstance(each, str)]

    assert [each.key for each in found] == [key for key in sorted(keys) if key > after]


async def test_a_file_tells_its_size_and_when_it_was_written(tmp_path: Path, bucket: Bucket) -> None:
    [page] = [page async for page in Folders([tmp_path]).pages(bucket.source, "ab")]

    assert [(each.key, each.size, each.last_modified, each.etag) for each in page.objects[:1]] == [
        ("ab/1.jpg", 8, WRITTEN, None)
    ]


async def test_a_subdirectory_that_is_not_there_is_empty(tmp_path: Path, bucket: Bucket) -> None:
    assert await listed(Folders([tmp_path]), bucket.source, "nowhere") == []
    assert await listed(Folders([tmp_path]), bucket.source, "a.jpg") == []


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"bucket": "nowhere"}, "NoSuchBucket"),
        ({"bucket": ".."}, "NotAllowed"),
        ({"bucket": "/etc"}, "NotAllowed"),
        ({"endpoint_url": "file:///"}, "NotAllowed"),
        ({"endpoint_url": "file:///%00"}, "NotAllowed"),
        ({"endpoint_url": "file:///%2e%2e/etc", "bucket": "."}, "NotAllowed"),
        ({"prefix": "../../.."}, "NotAllowed"),
    ],
)
async def test_what_is_not_under_an_allowed_root_is_not_touched(
    tmp_path: Path, bucket: Bucket, wrong: dict[str, Any], code: str
) -> None:
    with pytest.raises(StorageError) as caught:
        await listed(Folders([tmp_path]), replace(bucket.source, **wrong))

    assert (caught.value.code, caught.value.passing) == (code, False)
    assert str(tmp_path) not in str(caught.value)


async def test_without_a_root_no_folder_is_allowed(bucket: Bucket) -> None:
    with pytest.raises(StorageError, match="not under a root"):
        await listed(Folders(), bucket.source)


async def test_a_link_out_of_a_root_is_not_followed(tmp_path: Path, bucket: Bucket) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (outside / "secret.jpg").write_bytes(b"secret")
    (root / "bucket").symlink_to(outside)
    (bucket.folder / "link.jpg").symlink_to(outside / "secret.jpg")
    allowed = Folders([root, bucket.folder])

    with pytest.raises(StorageError, match="not under a root"):
        await listed(allowed, Source("bucket", endpoint_url=f"file://{root}", trusted=True))
    assert "link.jpg" not in await listed(allowed, bucket.source)
    with pytest.raises(StorageError, match="no file"):
        allowed.file(bucket.source, "link.jpg")
    with pytest.raises(StorageError, match="no file"):
        allowed.file(bucket.source, "../outside/secret.jpg")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who may not read")
def test_a_folder_that_cannot_be_read_is_told_of_and_the_others_are_listed() -> None:
    with tempfile.TemporaryDirectory() as root:
        Path(root).chmod(0o755)
        for name in ("a", "locked", "z"):
            (Path(root) / name).mkdir()
            (Path(root) / name / "1.jpg").touch()
        (Path(root) / "locked").chmod(0o700)
        os.seteuid(65534)
        try:
            source = Source(".", endpoint_url=f"file://{root}", trusted=True)
            pages = list(Folders([Path(root)])._pages(source, "", ""))
            with pytest.raises(PermissionError):
                os.scandir(Path(root) / "locked")
        finally:
            os.seteuid(0)

    assert [each.key for page in pages for each in page.objects] == ["a/1.jpg", "z/1.jpg"]
    assert [reason for page in pages for reason in page.unreadable] == ["locked/: Permission denied"]


async def test_a_file_is_read_from_its_beginning(
    tmp_path: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "CHUNK", 4)

    chunks = [chunk async for chunk in Folders([tmp_path]).chunks(bucket.source, "ab/10.jpg")]

    assert chunks == [b"ab/1", b"0.jp", b"g"]
