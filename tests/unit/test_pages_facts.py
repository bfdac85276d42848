"""What the pages list is all that there is, and as it is: errors, alerts, exceptions, commands."""

from __future__ import annotations

import base64
import inspect
import re
import subprocess
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from service import client, problems
from service.client.sync import MontClient as SyncMontClient
from service.commands import COMMANDS
from service.endpoints import ENDPOINTS
from service.events.signing import secrets_of, sign
from service.settings import Settings
from tests.support.pages import PAGES, ROOT


def test_the_readme_stays_short() -> None:
    assert len(PAGES["README.md"].text.splitlines()) <= 260


# The API.


def test_every_problem_has_a_row_in_the_table_of_errors_with_its_status() -> None:
    section = PAGES["docs/api.md"].section("## Errors")
    rows = re.findall(r"^\| ([\d, ]+) \| ([^|]+) \|", section, re.MULTILINE)
    told = {
        (int(status), slug)
        for statuses, slugs in rows
        for status, slug in paired(statuses.split(","), re.findall(r"`([a-z-]+)`", slugs))
    }
    kinds = {*problems.KINDS.values(), problems.UNEXPECTED}
    assert told == {(kind.status, kind.slug) for kind in kinds}


def paired(statuses: list[str], slugs: list[str]) -> list[tuple[str, str]]:
    """One status for all types of a row, or one for each."""
    if len(statuses) == 1:
        statuses *= len(slugs)
    return list(zip(statuses, slugs, strict=True))


def test_every_call_has_a_row_with_what_it_takes() -> None:
    section = PAGES["docs/api.md"].section("## Calls")
    for each in ENDPOINTS:
        assert f"`{each.method} {each.path}`" in section
        for schema in (each.body, each.query):
            for name in vars(schema).get("_declared_fields", {}) if schema else {}:
                said = f"`{name}`" in section or f"`{name}=" in section or f"{name}=`" in section
                assert said, f"{each.name}: {name}"


# Settings.


def test_the_example_of_settings_can_be_sourced(tmp_path: Path) -> None:
    example = (ROOT / ".env.example").read_text("utf-8")
    chosen = re.sub(r"^#(PORT)=.*$", r"\1=9000", example, flags=re.MULTILINE)
    assert chosen != example
    (tmp_path / ".env").write_text(chosen)
    script = PAGES["docs/settings.md"].example("source .env")
    done = subprocess.run(
        ["bash", "-euc", f'{script}\nenv | grep "^PORT="'],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "PORT=9000\n", "")


def test_settings_of_other_tables_have_the_same_defaults() -> None:
    row = re.compile(r"^\| `([A-Z0-9_]+)` \| (`[^`|]*`|\(none\)) \|", re.MULTILINE)
    complete = dict(row.findall(PAGES["docs/settings.md"].text))
    assert len(complete) == len(fields(Settings))
    picked = dict(row.findall(PAGES["README.md"].text))
    assert len(picked) >= 5
    assert picked.items() <= complete.items()


# The client and the command line.


def test_every_call_of_the_client_is_in_an_example_of_it() -> None:
    page = PAGES["docs/client.md"]
    programs = "\n".join(page.examples("python"))
    calls = [
        name
        for name, _ in inspect.getmembers(client.MontClient, inspect.isfunction)
        if not name.startswith("_")
    ]
    assert len(calls) > 12
    assert [name for name in calls if f"mont.{name}(" not in programs] == []
    assert [name for name in calls if not hasattr(SyncMontClient, name)] == []


def test_every_exception_and_argument_of_the_client_is_told() -> None:
    page = PAGES["docs/client.md"]
    exceptions = {
        name
        for name, value in vars(client).items()
        if isinstance(value, type) and issubclass(value, client.MontError)
    }
    section = page.section("## When something goes wrong")
    assert exceptions - set(re.findall(r"`(\w+)`", section.replace("`s", "` s"))) == set()
    for name in list(inspect.signature(client.MontClient).parameters)[1:]:
        assert f"| `{name}=` |" in page.text


def test_every_command_has_a_heading_on_its_page() -> None:
    headings = re.findall(r"^### (.+)$", PAGES["docs/cli.md"].text, re.MULTILINE)
    assert sorted(name for each in headings for name in each.split(", ")) == sorted(COMMANDS)


# Operations and events.


def test_every_alert_is_told_with_its_severity() -> None:
    groups = yaml.safe_load((ROOT / "config" / "alerts.yaml").read_text("utf-8"))["groups"]
    alerts = {
        (rule["alert"], rule["labels"]["severity"]) for group in groups for rule in group["rules"]
    }
    section = PAGES["docs/operations.md"].section("## Dashboard and alerts")
    rows = re.findall(r"^\| (`Mont[^|]*) \| (\w+) \|", section, re.MULTILINE)
    assert {
        (name, severity) for names, severity in rows for name in re.findall(r"`(\w+)`", names)
    } == alerts


def test_the_scraped_job_is_the_one_that_the_alerts_are_about() -> None:
    (text,) = PAGES["docs/operations.md"].examples("yaml")
    (job,) = yaml.safe_load(text)["scrape_configs"]
    assert f'job="{job["job_name"]}"' in (ROOT / "config" / "alerts.yaml").read_text("utf-8")


@pytest.fixture
def is_genuine() -> Callable[[str, dict[str, str], bytes], bool]:
    """The receiver's side, as the page has it."""
    names: dict[str, Callable[[str, dict[str, str], bytes], bool]] = {}
    exec(PAGES["docs/events.md"].example("def is_genuine", "python"), names)
    return names["is_genuine"]


def test_a_receiver_that_does_as_the_page_says_tells_our_events_from_others(
    is_genuine: Callable[[str, dict[str, str], bytes], bool],
) -> None:
    old, new = ("whsec_" + base64.b64encode(bytes([each]) * 32).decode() for each in (1, 2))
    body, now = b'{"type": "image.completed"}', int(time.time())

    def headers(secrets: str, sent_at: int = now) -> dict[str, str]:
        return {
            "webhook-id": "evt_1",
            "webhook-timestamp": str(sent_at),
            "webhook-signature": sign(secrets_of(secrets), "evt_1", sent_at, body),
        }

    assert is_genuine(new, headers(new), body)
    assert is_genuine(old, headers(f"{new} {old}"), body)
    assert is_genuine(new, headers(f"{new} {old}"), body)
    assert not is_genuine(new, headers(old), body)
    assert not is_genuine(new, headers(new), body + b" ")
    assert not is_genuine(new, headers(new) | {"webhook-id": "evt_2"}, body)
    assert not is_genuine(new, headers(new, now - 3600), body)
