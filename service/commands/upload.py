"""mont upload."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

import click

from service.client import MontError, Uploaded
from service.client.folders import Chosen, FolderUpload, Result, choose, is_hopeless
from service.client.journal import Journal, journal_file
from service.commands.bars import Bars, shown_bars
from service.commands.common import Failure
from service.commands.patience import wait_option
from service.commands.remote import (
    Remote,
    RemoteCommand,
    explain,
    printable,
    remote_options,
)


@click.command(cls=RemoteCommand)
@click.argument("paths", metavar="FILES|DIRS...", nargs=-1, required=True)
@click.option("--tag", "tags", multiple=True, help="A tag for each image; may be repeated.")
@click.option("--description", help="A description for each image.")
@click.option("--recursive", "-r", is_flag=True, help="Folders in folders, too.")
@click.option(
    "--jobs", type=click.IntRange(1, 64), default=4, show_default=True, help="Files at once."
)
@click.option(
    "--name", "filename", help="File name of what comes from standard input (`-`), if one does."
)
@click.option(
    "--journal/--no-journal",
    default=True,
    show_default=True,
    help="Remember what is uploaded, to pass over it the next time.",
)
@click.option(
    "--journal-dir",
    envvar="MONT_JOURNAL_DIR",
    show_envvar=True,
    type=click.Path(file_okay=False, path_type=Path),
    default=lambda: Path(click.get_app_dir("mont")) / "uploads",
    show_default="the user's folder for settings",
    help="Where that is remembered.",
)
@remote_options
@wait_option(60)
def upload(
    remote: Remote,
    paths: tuple[str, ...],
    tags: tuple[str, ...],
    description: str | None,
    recursive: bool,
    jobs: int,
    filename: str | None,
    journal: bool,
    journal_dir: Path,
) -> None:
    """Upload image files, and the image files in folders. `-` is standard input.

    Prints a line for each image: its id, a tab, the file. A file that fails stops no other.

    A service that restarts is waited for (--wait). Interrupted with Ctrl-C or by a failure, run it
    again: what the service has is passed over, and nothing becomes two images, since the same bytes
    under the same name are the same image. That also holds where other tags are given: `mont tag`
    changes those.

    \b
    mont upload --user ann photo.jpg
    mont upload -r ~/Pictures --tag holiday --jobs 8 > ids.tsv
    convert in.tif jpg:- | mont upload - --name out.jpg
    """
    said = tags, description
    if "-" in paths:
        if len(paths) > 1:
            raise click.UsageError("Standard input (-) is uploaded alone.")
        _upload_input(remote, filename, *said)
        return
    chosen = choose(map(Path, paths), recursive=recursive)
    tally = Tally(len(chosen.files))
    for path, error in chosen.problems:
        tally.failed += 1
        click.echo(_complaint(path, error), err=True)
    try:
        with (
            _opened(journal_dir if journal else None, remote) as known,
            shown_bars(len(chosen.files), chosen.size) as bars,
        ):
            asyncio.run(_upload_files(remote, chosen, jobs, said, known, bars, tally))
    finally:
        click.echo(tally.summary(), err=True)
    if tally.failed or tally.left:
        sys.exit(1)


@dataclass(slots=True)
class Tally:
    """How far it is. `files` that can be uploaded."""

    files: int
    uploaded: int = 0
    known: int = 0
    failed: int = 0
    tried: int = 0
    stopped_by: MontError | OSError | None = None

    @property
    def left(self) -> int:
        """Files that nothing became of."""
        return self.files - self.tried

    def count(self, result: Result) -> None:
        """One more."""
        self.tried += 1
        self.uploaded += result.image_id is not None and not result.known
        self.known += result.known
        self.failed += result.error is not None
        if is_hopeless(result.error):
            self.stopped_by = result.error

    @property
    def _advice(self) -> str:
        error = self.stopped_by
        if error is None or (isinstance(error, MontError) and error.passing):
            return "run it again to go on"
        return "once that is put right, run it again to go on"

    def summary(self) -> str:
        """All of it, in one line."""
        said = f"{self.uploaded} uploaded"
        if self.known:
            said += f", {self.known} uploaded before"
        if self.failed:
            said += f", {self.failed} failed"
        if self.left:
            said += f", {self.left} left: {self._advice}"
        return said + "."


async def _upload_files(
    remote: Remote,
    chosen: Chosen,
    jobs: int,
    said: tuple[tuple[str, ...], str | None],
    journal: Journal,
    bars: Bars,
    tally: Tally,
) -> None:
    sizes = dict(chosen.files)
    async with remote.client(bars.complain) as mont:
        upload = FolderUpload(mont, journal, *said, bars.file)
        async with aclosing(upload.run(sizes, jobs)) as results:
            async for result in results:
                tally.count(result)
                bars.done(sizes[result.path] if result.known else 0)
                if result.error is not None:
                    bars.complain(_complaint(result.path, result.error))
                    continue
                bars.print(f"{result.image_id}\t{printable(str(result.path))}")


def _upload_input(
    remote: Remote, filename: str | None, tags: tuple[str, ...], description: str | None
) -> None:
    with tempfile.TemporaryFile() as file:
        # Here and not in a thread of the loop, which Ctrl-C could not end.
        shutil.copyfileobj(sys.stdin.buffer, file)
        file.seek(0)

        async def work() -> Uploaded:
            async with remote.client() as mont:
                return await mont.upload(
                    file, filename=filename, tags=tags, description=description
                )

        click.echo(f"{asyncio.run(work()).image_id}\t-")


def _opened(folder: Path | None, remote: Remote) -> Journal:
    if folder is None:
        return Journal(None)
    file = journal_file(
        folder, remote.url, user_id=remote.user_id, api_key=remote.api_key, token=remote.token
    )
    try:
        return Journal(file)
    except OSError as error:
        raise Failure(
            f"{file}: {error.strerror}\nChoose another --journal-dir, or use --no-journal."
        ) from error


def _complaint(path: Path, error: Exception) -> str:
    return f"{printable(str(path))}: {explain(error)}"
