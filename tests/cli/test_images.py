"""mont ls, get, rm, tag, share."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import pytest

from service.client.sync import MontClient
from tests.cli.conftest import Mont, Photos, environment_of
from tests.client.proxy import cut_after, running_proxy
from tests.support.makers import an_id
from tests.support.real_images import large_jpeg, real_image
from tests.support.server import Server


@pytest.fixture
def ids(mont: Mont) -> list[str]:
    """Three images, the oldest first."""
    with MontClient(mont.environment["MONT_URL"], user_id=mont.user) as client:
        return [
            client.upload(
                real_image(turned=n).body, filename=f"{n}.jpg", tags=["a", f"t{n}"]
            ).image_id
            for n in range(3)
        ]


def first_words(output: str) -> list[str]:
    return [line.split()[0] for line in output.splitlines()]


# ls


def test_a_list_in_a_pipe_is_lines_of_tabs(mont: Mont, ids: list[str]) -> None:
    lines = mont.ok("ls").splitlines()
    assert [line.split("\t")[0] for line in lines] == ids[::-1]
    _, time, user, size, kind, width, height, tags, name = lines[0].split("\t")
    (newest, *_) = mont.ok("ls", "--json").splitlines()
    assert time == json.loads(newest)["upload_timestamp"]
    assert (user, kind, width, height) == (mont.user, "image/jpeg", "64", "48")
    assert (tags, name) == ("a,t2", "2.jpg")
    assert int(size) == real_image(turned=2).size


def test_a_list_as_json_has_every_field(mont: Mont, ids: list[str]) -> None:
    images = [json.loads(line) for line in mont.ok("ls", "--json").splitlines()]
    assert [image["image_id"] for image in images] == ids[::-1]
    assert {"user_id", "filename", "etag", "width", "s3_key", "description"} <= images[0].keys()


def test_a_list_is_filtered_ordered_and_cut(mont: Mont, ids: list[str]) -> None:
    assert first_words(mont.ok("ls", "--tag", "t1")) == [ids[1]]
    assert first_words(mont.ok("ls", "--order", "asc")) == ids
    assert mont.ok("ls", "--until", "2020-01-01") == ""
    assert first_words(mont.ok("ls", "--since", "2020-01-01")) == ids[::-1]
    cut = mont("ls", "--limit", "2")
    assert first_words(cut.stdout) == ids[:0:-1]
    assert "--all" in cut.stderr
    assert mont("ls", "--limit", "3").stderr == ""
    assert len(mont.ok("ls", "--all", "--everyone").splitlines()) >= 3
    assert "No images." in mont("ls", "--tag", "none").stderr


def test_a_wrong_date_is_said_with_its_name(mont: Mont) -> None:
    result = mont("ls", "--since", "yesterday")
    assert result.exit_code == 1
    assert "start_date" in result.stderr


def test_no_name_speaks_to_the_terminal(mont: Mont) -> None:
    with MontClient(mont.environment["MONT_URL"], user_id=mont.user) as client:
        client.upload(real_image().body, filename="a\x1b[2J\tb\u202e.jpg", tags=["c\nd"])
    (line,) = mont.ok("ls").splitlines()
    assert len(line.split("\t")) == 9
    assert "\x1b" not in line
    assert "\u202e" not in line


# get


def test_images_are_saved_where_asked(mont: Mont, ids: list[str], tmp_path: Path) -> None:
    body = real_image(turned=0).body
    assert mont.ok("get", ids[0], "-o", tmp_path / "a.jpg") == f"{tmp_path / 'a.jpg'}\n"
    assert (tmp_path / "a.jpg").read_bytes() == body
    printed = mont.ok("get", *ids, "-o", f"{tmp_path}/new/")
    assert sorted(map(Path, printed.splitlines())) == [
        tmp_path / "new" / f"{n}.jpg" for n in range(3)
    ]
    assert (
        mont.ok("get", "-", "-o", tmp_path, stdin=f"{ids[0]}\textra\n\n") == f"{tmp_path}/0.jpg\n"
    )
    result = mont("get", ids[0], "-o", "-")
    assert (result.stdout_bytes, result.stderr) == (body, "")


def test_an_image_that_cannot_be_had_stops_no_other(
    mont: Mont, ids: list[str], tmp_path: Path
) -> None:
    result = mont("get", an_id(404), ids[1], "-o", tmp_path)
    assert result.exit_code == 1
    assert result.stdout == f"{tmp_path}/1.jpg\n"
    assert f"{an_id(404)}: Image not found" in result.stderr
    assert "1 of 2 failed." in result.stderr


def test_several_images_need_a_folder(mont: Mont, tmp_path: Path) -> None:
    two = an_id(1), an_id(2)
    for arguments in ((*two, "-o", "-"), (*two, "-o", tmp_path / "a"), (an_id(1), "-o", "no/way")):
        assert mont("get", *arguments).exit_code == 2


async def test_a_cut_download_goes_on(server: Server, tmp_path: Path) -> None:
    async with running_proxy(server.url, server.backend) as proxy:
        mont = Mont(environment_of(proxy.url, tmp_path / "journal"))
        (tmp_path / "large.jpg").write_bytes(large_jpeg().body)
        status, printed, said = await mont.run("upload", tmp_path / "large.jpg")
        assert status == 0, said
        proxy.fail("GET S3", cut_after(2_000_000))
        status, printed, said = await mont.run("get", printed.split()[0], "-o", tmp_path / "b.jpg")
        assert (status, printed, said) == (0, f"{tmp_path / 'b.jpg'}\n", "")
        assert (tmp_path / "b.jpg").read_bytes() == large_jpeg().body
        assert [each.headers.get("Range") is None for each in proxy.of("GET S3")] == [True, False]


# rm


def test_deleting_says_what_is_gone(mont: Mont, ids: list[str]) -> None:
    result = mont("rm", "--yes", ids[0], an_id(404))
    assert result.exit_code == 1
    assert result.stdout.split() == [ids[0]]
    assert f"{an_id(404)}: Image not found" in result.stderr
    assert mont.ok("rm", "-y", "-", stdin=mont.ok("ls")).split() == ids[:0:-1]
    assert mont.images() == []
    assert mont.ok("rm", "--yes", "-") == ""


def test_nothing_is_deleted_without_a_yes(mont: Mont, ids: list[str]) -> None:
    assert mont("rm", ids[0]).exit_code == 2
    assert mont("rm", "-", stdin=ids[0]).exit_code == 2
    assert len(mont.images()) == 3


# tag


def test_tags_are_added_and_removed(mont: Mont, ids: list[str]) -> None:
    assert mont.ok("tag", ids[0], "+beach", "+sea side", "-a").split("\n")[:-1] == [
        "t0", "beach", "sea side",
    ]  # fmt: skip
    assert (
        mont.ok("tag", "-beach", ids[0], "--remove", "t0", "--add", "-odd-") == "sea side\n-odd-\n"
    )
    assert mont.ok("tag", ids[0], "--set", "x", "--set", "y") == "x\ny\n"
    assert mont.ok("tag", ids[0], "--clear") == ""


@pytest.mark.parametrize("arguments", [[], ["+a", "--set", "b"], ["--clear", "--set", "b"], ["-"]])
def test_a_change_of_tags_is_one_thing(mont: Mont, arguments: list[str]) -> None:
    assert mont("tag", an_id(1), *arguments).exit_code == 2


# share


def test_a_link_is_all_that_is_printed(mont: Mont, ids: list[str]) -> None:
    result = mont("share", ids[0])
    (link,) = result.stdout.splitlines()
    with urllib.request.urlopen(link) as served:
        assert served.read() == real_image(turned=0).body
    assert "900 s" in result.stderr
    assert "attachment" in mont.ok("share", ids[0], "--attachment")
    assert mont("share", an_id(404)).exit_code == 1


def test_what_is_not_there_and_who_may_not_are_said(mont: Mont, ids: list[str]) -> None:
    result = mont("tag", ids[0], "+x", "--user", "eve")
    assert result.exit_code == 1
    assert "belongs to someone else" in result.stderr
    assert "--user" in result.stderr
    result = mont("ls", "--url", mont.environment["MONT_URL"] + "/no/such/base")
    assert result.exit_code == 1
    assert "no such path" in result.stderr.lower()


def test_photos_of_one_folder_come_back_as_they_were(
    mont: Mont, photos: Photos, tmp_path: Path
) -> None:
    folder = photos(5)
    mont.ok("upload", folder)
    mont.ok("get", "-", "-o", f"{tmp_path}/back/", stdin=mont.ok("ls", "--all"))
    for path in folder.iterdir():
        assert (tmp_path / "back" / path.name).read_bytes() == path.read_bytes()
