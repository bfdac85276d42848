"""mont upload: folders, wrong files, and doing it again."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest
from aiohttp import web

from tests.cli.conftest import Mont, Photos, environment_of
from tests.cli.door import open_door
from tests.client.proxy import Passing, answer, running_proxy
from tests.support.api import new_user
from tests.support.real_images import real_image
from tests.support.server import Server


def rows(output: str) -> dict[str, str]:
    """The image id of each file that was printed."""
    return {Path(path).name: image_id for image_id, path in map(str.split, output.splitlines())}


def test_files_and_folders_are_uploaded_and_said(mont: Mont, photos: Photos) -> None:
    folder = photos(3)
    (folder / "notes.txt").write_text("no image")
    (folder / ".hidden.jpg").write_bytes(real_image().body)
    (folder / "deeper").mkdir()
    (folder / "deeper" / "png.PNG").write_bytes(real_image("image/png").body)
    single = folder.parent / "single.webp"
    single.write_bytes(real_image("image/webp").body)
    printed = mont.ok("upload", folder, single, "--tag", "a", "--tag", "b", "--description", "c")
    assert set(rows(printed)) == {"000.jpg", "001.jpg", "002.jpg", "single.webp"}
    assert mont.images() == ["000.jpg", "001.jpg", "002.jpg", "single.webp"]
    shown = mont.ok("ls", "--json", "--tag", "a")
    assert shown.count('"tags": ["a", "b"], "description": "c"') == 4
    assert set(rows(mont.ok("upload", "-r", folder))) == {
        "000.jpg", "001.jpg", "002.jpg", "png.PNG",
    }  # fmt: skip


def test_wrong_files_stop_no_other(mont: Mont, photos: Photos) -> None:
    folder = photos(3)
    (folder / "empty.jpg").touch()
    (folder / "text.jpg").write_text("no image")
    (folder / "large.png").write_bytes(real_image("image/png").body + b"\0" * 11_000_000)
    (folder / "locked.jpg").symlink_to(folder / "gone.jpg")
    result = mont("upload", folder, folder.parent / "missing.jpg")
    assert result.exit_code == 1
    assert set(rows(result.stdout)) == {"000.jpg", "001.jpg", "002.jpg"}
    assert mont.images() == ["000.jpg", "001.jpg", "002.jpg"]
    for name, reason in (
        ("empty.jpg", "empty: there is nothing to upload"),
        ("large.png", "bytes, and the service takes 10,485,760 at most"),
        ("text.jpg", "no image"),
        ("missing.jpg", "No such file"),
    ):
        (line,) = [text for text in result.stderr.split("/") if text.startswith(name)]
        assert reason in line
    assert "3 uploaded, 5 failed." in result.stderr
    assert "file_size" not in result.stderr, "nobody who uploads files has heard of it"


def test_what_is_uploaded_is_passed_over_the_next_time(mont: Mont, photos: Photos) -> None:
    folder = photos(3)
    first = mont("upload", folder)
    (folder / "new.jpg").write_bytes(real_image(turned=77).body)
    again = mont("upload", folder)
    assert "1 uploaded, 3 uploaded before." in again.stderr
    assert rows(again.stdout).items() > rows(first.stdout).items()
    assert len(mont.images()) == 4


def test_a_file_that_was_touched_or_moved_is_known_by_its_content(
    mont: Mont, photos: Photos
) -> None:
    folder = photos(2)
    first = rows(mont.ok("upload", folder))
    (folder / "000.jpg").touch()
    (folder / "elsewhere").mkdir()
    (folder / "001.jpg").rename(folder / "elsewhere" / "001.jpg")
    again = mont("upload", "--recursive", folder)
    assert rows(again.stdout) == first
    assert "0 uploaded, 2 uploaded before." in again.stderr


def test_an_image_that_is_gone_is_uploaded_again(mont: Mont, photos: Photos) -> None:
    folder = photos(4)
    ids = rows(mont.ok("upload", folder))
    mont.ok("rm", "--yes", ids["000.jpg"], ids["001.jpg"])
    (folder / "001.jpg").touch()
    again = mont("upload", folder)
    assert rows(again.stdout) == ids
    assert "2 uploaded, 2 uploaded before." in again.stderr
    assert len(mont.images()) == 4
    assert "0 uploaded, 4 uploaded before." in mont("upload", folder).stderr


def test_a_file_that_was_changed_is_another_image(mont: Mont, photos: Photos) -> None:
    folder = photos(1)
    mont.ok("upload", folder)
    (folder / "000.jpg").write_bytes(real_image(turned=99).body)
    mont.ok("upload", folder)
    assert mont.images() == ["000.jpg", "000.jpg"]


def test_without_a_journal_there_is_no_second_image_either(mont: Mont, photos: Photos) -> None:
    folder = photos(2)
    first = mont.ok("upload", "--no-journal", folder)
    assert rows(mont.ok("upload", "--no-journal", folder)) == rows(first)
    assert mont.images() == ["000.jpg", "001.jpg"]
    assert list(Path(mont.environment["MONT_JOURNAL_DIR"]).iterdir()) == []


def test_copies_of_a_file_are_one_image(mont: Mont, photos: Photos) -> None:
    one, other = photos(2, "one"), photos(2, "other")
    lines = mont.ok("upload", one, other).splitlines()
    assert len(lines) == 4
    assert len({line.split("\t")[0] for line in lines}) == 2
    assert len(mont.images()) == 2


def test_each_user_and_service_has_a_journal_of_its_own(mont: Mont, photos: Photos) -> None:
    folder, other = photos(1), new_user()
    mine = mont.ok("upload", folder)
    theirs = mont.ok("upload", folder, "--user", other)
    assert rows(mine) != rows(theirs)
    assert mont.ok("ls", "--user", other).startswith(rows(theirs)["000.jpg"])


def test_a_journal_that_a_crash_cut_costs_one_line(mont: Mont, photos: Photos) -> None:
    folder = photos(2)
    first = mont.ok("upload", folder, "--jobs", "1")
    (journal,) = Path(mont.environment["MONT_JOURNAL_DIR"]).iterdir()
    assert journal.stat().st_mode & 0o077 == 0
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-20])
    again = mont("upload", folder, "--jobs", "1")
    assert rows(again.stdout) == rows(first)
    assert "1 uploaded, 1 uploaded before." in again.stderr
    assert "0 uploaded, 2 uploaded before." in mont("upload", folder).stderr
    assert mont.images() == ["000.jpg", "001.jpg"]


def test_a_journal_that_cannot_be_written_is_said_before_anything_is_sent(
    mont: Mont, photos: Photos
) -> None:
    folder = photos(1)
    result = mont("upload", folder, "--journal-dir", folder / "000.jpg" / "below")
    assert result.exit_code == 1
    assert "--no-journal" in result.stderr
    assert mont.images() == []


def test_standard_input_is_uploaded(mont: Mont) -> None:
    printed = mont.ok("upload", "-", "--name", "piped.png", stdin=real_image("image/png").body)
    assert printed.endswith("\t-\n")
    assert mont.images() == ["piped.png"]
    assert mont("upload", "-", "other.jpg").exit_code == 2


def test_what_every_file_would_fail_with_is_said_once(mont: Mont, photos: Photos) -> None:
    folder = photos(30)
    result = mont("upload", folder, "--jobs", "1", MONT_USER="")
    assert result.exit_code == 1
    assert result.stderr.count("Say whose images these are") == 1
    assert "0 uploaded, 1 failed, 29 left" in result.stderr
    result = mont("upload", folder, "--jobs", "1", "--tag", "x" * 51)
    assert result.stderr.count("body.tags.0") == 1


def test_a_folder_without_images_is_a_failure(mont: Mont, photos: Photos, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = mont("upload", "--recursive", tmp_path / "empty")
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"{tmp_path / 'empty'}: no image files\n" in result.stderr
    folder = photos(1, "outer/inner")
    result = mont("upload", folder.parent, tmp_path / "empty")
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"{folder.parent}: no image files; --recursive looks into its folders" in result.stderr
    assert "0 uploaded, 2 failed." in result.stderr


async def test_what_is_under_way_when_the_quota_is_reached_is_said(
    server: Server, photos: Photos, tmp_path: Path
) -> None:
    refused = asyncio.Event()

    async def no_room(passing: Passing) -> web.StreamResponse:
        refused.set()
        problem = {"type": "urn:mont:problem:storage-quota-exceeded", "title": "No room"}
        return await answer(403, problem)(passing)

    async def be_late(passing: Passing) -> web.StreamResponse:
        await refused.wait()
        return await passing.send()

    async with running_proxy(server.url, server.backend) as proxy:
        proxy.fail("POST /images/complete", no_room, be_late)
        mont = Mont(environment_of(proxy.url, tmp_path / "journal"))
        status, printed, said = await mont.run("upload", photos(9), "--jobs", "2")
        assert len(rows(printed)) == len(await asyncio.to_thread(mont.images)) == 1
    assert status == 1
    assert "1 uploaded, 1 failed, 7 left: once that is put right, run it again" in said
    assert "`mont rm` makes room" in said


async def test_a_restart_of_the_service_is_waited_for(
    server: Server, photos: Photos, tmp_path: Path
) -> None:
    folder = photos(60)
    async with open_door(server.url) as door:
        mont = Mont(environment_of(door.url, tmp_path / "journal"))
        process = await mont.start("upload", folder, "--jobs", "8")
        assert process.stdout and process.stderr
        async with asyncio.timeout(60):
            first = [await process.stdout.readline() for _ in range(5)]
            await door.shut()
            said = await process.stderr.readline()
            assert said.startswith(b"Waiting for the service, up to 60 s: http://127.0.0.1"), said
            await door.open()
            printed, said = await process.communicate()
        assert (process.returncode, said) == (0, b"60 uploaded.\n")
        assert len(rows((b"".join(first) + printed).decode())) == 60
        assert len(await asyncio.to_thread(mont.images)) == 60


def test_a_service_that_stays_away_is_waited_for_as_long_as_asked(
    mont: Mont, photos: Photos
) -> None:
    result = mont("upload", photos(30), "--wait", "0", "--url", "http://127.0.0.1:1")
    assert result.exit_code == 1
    assert result.stderr.count("127.0.0.1:1") == 1
    assert "0 uploaded, 1 failed, 29 left: run it again to go on." in result.stderr


@pytest.mark.parametrize("number", [signal.SIGINT])
async def test_an_interrupted_upload_goes_on_and_makes_each_image_once(
    mont: Mont, photos: Photos, number: int
) -> None:
    folder = photos(300)
    process = await mont.start("upload", folder, "--jobs", "4")
    assert process.stdout and process.stderr
    async with asyncio.timeout(60):
        for _ in range(90):
            assert await process.stdout.readline()
        process.send_signal(number)
        printed, said = await process.communicate()
    assert process.returncode == 130
    assert b"Traceback" not in said
    assert b"left: run it again to go on." in said
    assert b"Interrupted." in said
    assert 90 + len(printed.splitlines()) < 300
    status, printed, said = await mont.run("upload", folder, "--jobs", "4")
    assert status == 0, said
    assert "uploaded before." in said
    names = [f"{number:03}.jpg" for number in range(300)]
    assert sorted(rows(printed)) == names
    assert len(set(rows(printed).values())) == 300
    assert await asyncio.to_thread(mont.images) == names
