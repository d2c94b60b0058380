"""File names of camera traps, and the times in them."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.file_names import taken_at

TIMES = {
    "84-20220916202959-snapshot.jpg": "2022-09-16 20:29:59",
    "202209162029591234.jpg": "2022-09-16 20:29:59",
    "IMG_20230801_123456.jpg": "2023-08-01 12:34:56",
    "20230801T023001Z.jpg": "2023-08-01 02:30:01",
    "2024_01_01 12_00_00.jpg": "2024-01-01 12:00:00",
    "2023-08-01T02-30-01+0200.jpg": "2023-08-01 02:30:01",
    "2023-08-01-22-35-00_0001.jpg": "2023-08-01 22:35:00",
    "NSCF----_250927194802_0017.JPG": "2025-09-27 19:48:02",
    "690927194802.jpg": "1969-09-27 19:48:02",
    "680927194802.jpg": "2068-09-27 19:48:02",
    "19991231235959.jpg": "1999-12-31 23:59:59",
    # no dot before the extension
    "20230801123000jpg": "2023-08-01 12:30:00",
    "demo/station-1/20230801120000.jpg": "2023-08-01 12:00:00",
    # the folder says something else
    "20200101000000/20230801120000.jpg": "2023-08-01 12:00:00",
    # only a date, with hours and minutes at most
    "20230801.jpg": "2023-08-01 00:00:00",
    "2023-08-01.jpg": "2023-08-01 00:00:00",
    "20230801-0230.jpg": "2023-08-01 02:30:00",
}
NONE = (
    "DSC_1974.jpg",
    "img1.jpg",
    "nodate.jpg",
    "no-timestamp.jpg",
    "1690870501.jpg",
    "20231301250000.jpg",
    "20230899999999.jpg",
    "20230230.jpg",
    # less than a whole date: what would be missing is nobody's to guess
    "12.jpg",
    "1974.jpg",
    "2023-08.jpg",
    "monday.jpg",
    "may.jpg",
    "230801-023001.jpg",
    # only the folder says when
    "20230801120000/moth.jpg",
    "2309271948021.jpg",
    "00000000000000.jpg",
    # digits, but not those of dates
    "٢٠٢٣٠٨٠١١٢٠٠٠٠.jpg",
    ".jpg",
    "",
    "a/",
)


@pytest.mark.parametrize(("key", "expected"), TIMES.items())
def test_the_time_in_a_name_is_read(key: str, expected: str) -> None:
    assert taken_at(key) == datetime.fromisoformat(expected)


@pytest.mark.parametrize("key", NONE)
def test_a_name_without_a_whole_date_has_no_time(key: str) -> None:
    assert taken_at(key) is None


@pytest.mark.parametrize("key", ["20231301250000 2023-08-01.jpg", "a 2023-08-01.jpg"])
def test_the_first_place_that_fits_decides(key: str) -> None:
    assert taken_at(key) is None


FORMS = (
    "%Y%m%d%H%M%S",
    "%Y%m%d_%H%M%S",
    "%Y%m%dT%H%M%SZ",
    "%Y%m%d--x--%H%M%S",
    "%Y-%m-%dT%H-%M-%S",
    "%Y_%m_%d %H_%M_%S",
    "%Y.%m.%d at %H.%M.%S",
)
TEXT = st.text(st.characters(blacklist_characters="/.", blacklist_categories=("Nd", "Cs")), max_size=8)


@given(
    at=st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 31)),  # noqa: DTZ001
    form=st.sampled_from(FORMS),
    folder=st.sampled_from(["", "2020/", "a/20200101000000/"]),
    before=TEXT,
    after=TEXT,
)
def test_every_time_is_read_from_every_form(
    at: datetime, form: str, folder: str, before: str, after: str
) -> None:
    assert taken_at(f"{folder}{before}{at.strftime(form)}{after}.jpg") == at.replace(microsecond=0)


@given(at=st.datetimes(datetime(1969, 1, 1), datetime(2068, 12, 31)), after=TEXT)  # noqa: DTZ001
def test_a_year_of_two_digits_is_of_the_hundred_years_from_1969(at: datetime, after: str) -> None:
    assert taken_at(f"NSCF_{at.strftime('%y%m%d%H%M%S')}_{after}.JPG") == at.replace(microsecond=0)


@given(st.text())
def test_any_name_has_a_time_or_none(key: str) -> None:
    at = taken_at(key)

    assert at is None or at.microsecond == 0


@given(
    st.text("0123456789-_ T.", max_size=24),
)
def test_the_year_of_a_time_stands_in_the_name(name: str) -> None:
    at = taken_at(name)

    assert at is None or f"{at.year:04}"[2:] in name
