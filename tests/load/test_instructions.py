"""`make instructions` tells more instructions from as many, and says when it cannot."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.load import instructions
from tests.load.calls import CALLS
from tests.load.instructions import (
    COUNTED,
    TIMES,
    CannotCount,
    compared,
    from_dumps,
    read_recording,
    recording,
    tolerance_of,
)


def test_more_than_the_tolerance_is_a_regression_and_less_is_none() -> None:
    recorded = {"list": 1_000_000, "upload-url": 1_000_000, "download-url": 1_000_000}
    counted = {"list": 1_051_000, "upload-url": 1_049_000, "download-url": 900_000}
    verdicts = compared(recorded, counted, tolerance_percent=5)
    assert [verdict.is_regression for verdict in verdicts] == [True, False, False]
    assert "REGRESSION" in str(verdicts[0])
    assert "RECORD=1" in str(verdicts[2])


def test_what_was_recorded_here_can_be_compared_with(tmp_path: Path) -> None:
    path = tmp_path / "instructions.json"
    path.write_text(json.dumps(recording({"list": 5})), "utf-8")
    assert read_recording(path) == {"list": 5}


def test_what_was_recorded_elsewhere_cannot(tmp_path: Path) -> None:
    document = recording({"list": 5})
    document["conditions"]["python"] = "2.7"
    path = tmp_path / "instructions.json"
    path.write_text(json.dumps(document), "utf-8")
    with pytest.raises(CannotCount, match=r"python 2\.7"):
        read_recording(path)


def test_nothing_recorded_is_said(tmp_path: Path) -> None:
    with pytest.raises(CannotCount, match="RECORD=1"):
        read_recording(tmp_path / "none.json")


def test_without_valgrind_it_says_so_and_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(SystemExit, match="valgrind is not installed"):
        instructions.main()


@pytest.mark.parametrize("wrong", ["-1", "101", "some"])
def test_a_tolerance_that_means_nothing_is_refused(wrong: str) -> None:
    assert tolerance_of({}) == tolerance_of({"TOLERANCE": "5"}) == 5.0
    with pytest.raises(CannotCount, match="TOLERANCE"):
        tolerance_of({"TOLERANCE": wrong})


def test_the_difference_of_two_runs_is_what_counts(tmp_path: Path) -> None:
    for number, total in enumerate((100 + TIMES, 100 + 3 * TIMES) * len(COUNTED), start=1):
        (tmp_path / f"counts.{number}").write_text(f"events: Ir\nsummary: {total}\n", "utf-8")
    assert from_dumps(tmp_path / "counts", COUNTED) == dict.fromkeys(COUNTED, 2)


def test_what_is_counted_is_among_the_calls() -> None:
    assert set(COUNTED) <= set(CALLS)
