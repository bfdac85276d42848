"""Times out have one width and sort as text; dates in mean what their precision says."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service import timestamps

FIRST = "0001-01-01T00:00:00.000000Z"
LAST = "9999-12-31T23:59:59.999999Z"

OFFSETS = st.integers(-23 * 60, 23 * 60).map(lambda m: timezone(timedelta(minutes=m)))
# A day away from the ends of the calendar, where an offset could push a moment over the edge.
MOMENTS = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=OFFSETS)


@given(MOMENTS)
@example(datetime(1, 1, 1, tzinfo=UTC))
@example(datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC))
def test_a_moment_survives_text_and_microseconds(moment: datetime) -> None:
    text = timestamps.to_text(moment)
    assert (len(text), text[-1]) == (27, "Z")
    assert datetime.fromisoformat(text) == moment
    assert timestamps.from_micros(timestamps.to_micros(text)) == text


@given(MOMENTS, MOMENTS)
def test_text_order_is_time_order(one: datetime, other: datetime) -> None:
    first, second = timestamps.to_text(one), timestamps.to_text(other)
    assert (first < second) == (one < other)
    assert (first == second) == (one == other)


@pytest.mark.parametrize("micros", [-(1 << 63), -62_135_596_800_000_001, 1 << 62, 1 << 64])
def test_microseconds_outside_the_calendar_are_refused(micros: int) -> None:
    with pytest.raises(OverflowError):
        timestamps.from_micros(micros)


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2026-02-13", "2026-02-13T00:00:00.000000Z", "2026-02-13T23:59:59.999999Z"),
        ("2024-02-29", "2024-02-29T00:00:00.000000Z", "2024-02-29T23:59:59.999999Z"),
        ("2026-02-13T10:30", "2026-02-13T10:30:00.000000Z", "2026-02-13T10:30:59.999999Z"),
        ("2026-02-13T23:59:59", "2026-02-13T23:59:59.000000Z", "2026-02-13T23:59:59.999999Z"),
        ("2026-02-13T10:30:00Z", "2026-02-13T10:30:00.000000Z", "2026-02-13T10:30:00.999999Z"),
        ("2026-02-13t10:30:00z", "2026-02-13T10:30:00.000000Z", "2026-02-13T10:30:00.999999Z"),
        ("2026-02-13 10:30:00", "2026-02-13T10:30:00.000000Z", "2026-02-13T10:30:00.999999Z"),
        ("2026-02-13T10:30:00.5", "2026-02-13T10:30:00.500000Z", "2026-02-13T10:30:00.599999Z"),
        ("2026-02-13T10:30:00,25", "2026-02-13T10:30:00.250000Z", "2026-02-13T10:30:00.259999Z"),
        ("2026-02-13T10:30:00.123Z", "2026-02-13T10:30:00.123000Z", "2026-02-13T10:30:00.123999Z"),
        ("2026-02-13T10:30:00.123456", *["2026-02-13T10:30:00.123456Z"] * 2),
        ("2026-02-13T10:30:00.123456789", *["2026-02-13T10:30:00.123456Z"] * 2),
        ("2026-02-13T10:30:00+02:00", "2026-02-13T08:30:00.000000Z", "2026-02-13T08:30:00.999999Z"),
        ("2026-02-13T10:30:00-0530", "2026-02-13T16:00:00.000000Z", "2026-02-13T16:00:00.999999Z"),
        # A plus sign that nobody percent-encoded.
        ("2026-02-13T10:30:00 02:00", "2026-02-13T08:30:00.000000Z", "2026-02-13T08:30:00.999999Z"),
        ("2026-02-13T10:30 02:00", "2026-02-13T08:30:00.000000Z", "2026-02-13T08:30:59.999999Z"),
        ("0001-01-01", FIRST, "0001-01-01T23:59:59.999999Z"),
        ("9999-12-31", "9999-12-31T00:00:00.000000Z", LAST),
        ("0001-01-01T00:00:00+01:00", FIRST, FIRST),
        ("9999-12-31T23:30:00-01:00", LAST, LAST),
    ],
)
def test_a_date_spans_what_its_precision_says(text: str, first: str, last: str) -> None:
    assert (timestamps.earliest(text), timestamps.latest(text)) == (first, last)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026",
        "2026-02",
        "2026-2-3",
        "20260213",
        "2026-02-13T",
        "2026-02-13T10",
        "2026-02-13Z",
        "2026-02-13T10:30:00.",
        "2026-02-13T10:30:00.1234567890",
        "2026-02-13T10:30:00+2",
        "2026-02-13T10:30:00 UTC",
        "2026-02-13T10:30:00Z\n",
        " 2026-02-13",
        "1770978600",
        "٢٠٢٦-٠٢-١٣",
        "2026-02-13T10:30:00Z; DROP TABLE images",
    ],
)
def test_what_is_no_date_is_refused_with_an_example(text: str) -> None:
    for read in (timestamps.earliest, timestamps.latest):
        with pytest.raises(ValueError, match=r"ISO 8601.*2026-02-13"):
            read(text)


@pytest.mark.parametrize(
    "text",
    [
        "2026-02-30",
        "2025-02-29",
        "2026-13-01",
        "0000-01-01",
        "2026-02-13T24:00",
        "2026-02-13T10:60",
        "2026-02-13T10:30:60",
        "2026-02-13T10:30:00+24:00",
        "2026-02-13T10:30:00+99:99",
    ],
)
def test_a_date_that_does_not_exist_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="Not a date that exists"):
        timestamps.earliest(text)


@given(MOMENTS, st.sampled_from(["minutes", "seconds", "milliseconds", "microseconds"]))
def test_a_moment_is_within_what_it_says_at_any_precision(moment: datetime, how: str) -> None:
    text = moment.isoformat(timespec=how)
    assert timestamps.earliest(text) <= timestamps.to_text(moment) <= timestamps.latest(text)
