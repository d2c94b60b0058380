"""Whether captures lie where they are said to."""

import pytest

from storage import probing
from storage.patterns import InvalidRegex
from storage.probing import probe
from storage.sources import Source
from storage.stores import Stores
from tests.storage.test_buckets import filled


async def test_the_first_capture_is_found_and_what_was_looked_at_counted(s3: Source) -> None:
    source = await filled(s3, "dep/a.txt", "dep/b.jpg", "dep/c.jpg", "other/a.jpg")

    found = await probe(Stores(), source, "dep", None)

    assert (found.first, found.checked) == (f"{source.prefix}/dep/b.jpg", 2)
    assert 0 < found.latency <= found.total_time
    assert found.full_uri == f"s3://moths/{source.prefix}/dep/"


async def test_an_expression_that_fits_nothing_finds_nothing(s3: Source) -> None:
    source = await filled(s3, "b.jpg", "c.jpg")

    found = await probe(Stores(), source, None, "night")

    assert (found.first, found.checked) == (None, 2)
    assert found.full_uri.endswith("?regex=night")


async def test_an_empty_folder_is_no_error(s3: Source) -> None:
    found = await probe(Stores(), await filled(s3), None, None)

    assert (found.first, found.checked) == (None, 0)


async def test_it_does_not_go_through_a_whole_bucket(s3: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "MOST", 3)
    source = await filled(s3, "a.txt", "b.txt", "c.txt", "d.jpg")

    assert (await probe(Stores(), source, None, None)).checked == 3


async def test_an_expression_that_is_none_is_refused_before_anything_is_asked() -> None:
    with pytest.raises(InvalidRegex):
        await probe(Stores(), Source("moths", endpoint_url="http://127.0.0.1:1"), None, "[a")
