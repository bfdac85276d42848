"""A known vulnerability fails the audit; a database out of reach says that nothing was audited."""

import pytest

from tests.audit import verdict

SOUND = {"name": "aiohttp", "version": "3.14.5", "vulns": []}
SKIPPED = {"name": "aiohttp", "skip_reason": "Dependency not found on PyPI"}
FLAWED = {
    "name": "flaw",
    "version": "1.0",
    "vulns": [{"id": "CVE-2026-1", "fix_versions": ["1.1"]}],
}


def test_a_finding_is_named_whatever_else_is_sound_or_skipped() -> None:
    said = verdict([SOUND, FLAWED, SKIPPED])
    assert said is not None
    assert "flaw 1.0: CVE-2026-1, fixed in 1.1" in said


def test_nothing_found_says_how_much_was_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    assert verdict([SOUND, SKIPPED]) is None
    assert "1 of 2 dependencies audited" in capsys.readouterr().out


def test_nothing_looked_at_is_no_success(capsys: pytest.CaptureFixture[str]) -> None:
    assert verdict([SKIPPED]) is None
    assert "NOT AUDITED" in capsys.readouterr().out
