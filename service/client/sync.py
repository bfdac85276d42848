"""The same client without `async`, for scripts and shells.

    from service.client.sync import MontClient

    with MontClient("http://127.0.0.1:8080", user_id="ann") as mont:
        uploaded = mont.upload("photo.jpg", tags=["beach"])
        for image in mont.images(tag="beach"):
            print(image.image_id, image.filename)
        mont.download(uploaded.image_id, "back.jpg")

It runs the asynchronous one on a thread of its own, so it also works where a loop is running
already, as in a notebook. Progress callbacks are called on that thread.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import (
    AsyncIterator,
    Coroutine,
    Iterable,
    Iterator,
    Sequence,
)
from concurrent.futures import Future
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from service.client import mont
from service.client.forms import Progress
from service.client.mont import Token
from service.client.retries import Retries
from service.client.sources import Uploadable
from service.client.uploads import ItemProgress, Outcome, Upload
from service.client.values import KEEP, Deleted, Image, Keep, Link, Linked, Order, Ticket, Uploaded

T = TypeVar("T")
_END = object()


class MontClient:
    """See `service.client.MontClient`; for use with `with`."""

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        token: Token | None = None,
        user_id: str | None = None,
        retries: Retries | None = None,
    ) -> None:
        self._client = mont.MontClient(
            url, api_key=api_key, token=token, user_id=user_id, retries=retries
        )
        self._loop: _Loop | None = None

    def __enter__(self) -> Self:
        """Start the thread."""
        self._loop = _Loop(self._client)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Cancel what is under way, close all connections and end the thread."""
        loop, self._loop = self._loop, None
        if loop is not None:
            loop.close()

    def upload(
        self,
        what: Uploadable,
        *,
        filename: str | None = None,
        content_type: str | None = None,
        tags: Sequence[str] = (),
        description: str | None = None,
        user_id: str | None = None,
        idempotency_key: str | None = None,
        progress: Progress | None = None,
    ) -> Uploaded:
        """Upload a file by its path, bytes, or a stream, and complete it."""
        return self._run(
            self._client.upload(
                what,
                filename=filename,
                content_type=content_type,
                tags=tags,
                description=description,
                user_id=user_id,
                idempotency_key=idempotency_key,
                progress=progress,
            )
        )

    def request_upload(
        self,
        filename: str,
        content_type: str,
        file_size: int,
        *,
        tags: Sequence[str] = (),
        description: str | None = None,
        user_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> Ticket:
        """The form for one upload, for whoever holds the bytes, such as a browser."""
        return self._run(
            self._client.request_upload(
                filename,
                content_type,
                file_size,
                tags=tags,
                description=description,
                user_id=user_id,
                idempotency_key=idempotency_key,
            )
        )

    def complete(self, image_id: str, *, user_id: str | None = None) -> None:
        """Complete an upload of `request_upload`, as it was declared."""
        self._run(self._client.complete(image_id, user_id=user_id))

    def upload_many(
        self,
        items: Iterable[Uploadable | Upload],
        *,
        jobs: int = 4,
        tags: Sequence[str] = (),
        description: str | None = None,
        user_id: str | None = None,
        progress: ItemProgress | None = None,
    ) -> Iterator[Outcome]:
        """Upload all of these, `jobs` at once; the outcome of each as it comes."""
        return self._each(
            self._client.upload_many(
                items,
                jobs=jobs,
                tags=tags,
                description=description,
                user_id=user_id,
                progress=progress,
            )
        )

    def images(
        self,
        *,
        user_id: str | None = None,
        everyone: bool = False,
        start: str | date | None = None,
        end: str | date | None = None,
        tag: str | None = None,
        order: Order = "desc",
        page_size: int | None = None,
    ) -> Iterator[Image]:
        """Every image that matches, newest first."""
        return self._each(
            self._client.images(
                user_id=user_id,
                everyone=everyone,
                start=start,
                end=end,
                tag=tag,
                order=order,
                page_size=page_size,
            )
        )

    def get(self, image_id: str) -> Image:
        """One image, with its `revision`."""
        return self._run(self._client.get(image_id))

    def link(self, image_id: str, *, attachment: bool = False) -> Link:
        """A link to the bytes."""
        return self._run(self._client.link(image_id, attachment=attachment))

    def links(self, image_ids: Iterable[str], *, user_id: str | None = None) -> list[Linked]:
        """Links to all of these, in order."""
        return self._run(self._client.links(image_ids, user_id=user_id))

    def download(
        self, image_id: str, target: str | Path, *, progress: Progress | None = None
    ) -> Path:
        """Download an image to a file, or into a folder under its own name; where it is now."""
        return self._run(self._client.download(image_id, target, progress=progress))

    def read(self, image_id: str) -> Iterator[bytes]:
        """The bytes of an image, in order."""
        return self._each(self._client.read(image_id))

    def edit(
        self,
        image_id: str,
        *,
        tags: Sequence[str] | Keep | None = KEEP,
        description: str | Keep | None = KEEP,
        if_match: str | None = None,
        user_id: str | None = None,
    ) -> Image:
        """Replace tags, description or both; None clears."""
        return self._run(
            self._client.edit(
                image_id, tags=tags, description=description, if_match=if_match, user_id=user_id
            )
        )

    def retag(
        self,
        image_id: str,
        *,
        add: Iterable[str] = (),
        remove: Iterable[str] = (),
        user_id: str | None = None,
    ) -> Image:
        """Add and remove tags, and lose nobody else's edit."""
        return self._run(self._client.retag(image_id, add=add, remove=remove, user_id=user_id))

    def delete(self, image_id: str, *, user_id: str | None = None) -> None:
        """Delete an image."""
        self._run(self._client.delete(image_id, user_id=user_id))

    def delete_many(self, image_ids: Iterable[str], *, user_id: str | None = None) -> list[Deleted]:
        """Delete all of these; in order, what became of each."""
        return self._run(self._client.delete_many(image_ids, user_id=user_id))

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        if self._loop is None:
            work.close()
            raise RuntimeError("use it as: with MontClient(...) as mont")
        return self._loop.run(work)

    def _each(self, source: AsyncIterator[T]) -> Iterator[T]:
        loop = self._loop
        if loop is None:
            raise RuntimeError("use it as: with MontClient(...) as mont")
        return _iterated(loop, source)


def _iterated(loop: _Loop, source: Any) -> Iterator[Any]:
    """The items of an asynchronous generator, one step of the loop each."""

    async def step() -> Any:
        return await anext(source, _END)

    try:
        while (item := loop.run(step())) is not _END:
            yield item
    finally:
        if loop.open:
            loop.run(source.aclose())


class _Loop:
    """An event loop on a thread, with a client in it."""

    def __init__(self, client: mont.MontClient) -> None:
        self._started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
        # A script that forgets to close must still be able to end.
        self._thread = threading.Thread(target=self._main, args=(client,), daemon=True)
        self._thread.start()
        self._loop, self._stop = self._started.result()
        self.open = True

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result. Ctrl-C ends the work, not only the waiting for it."""
        if not self.open:
            work.close()
            raise RuntimeError("the client is closed")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        finally:
            future.cancel()

    def close(self) -> None:
        """End the thread."""
        self.open = False
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _main(self, client: mont.MontClient) -> None:
        asyncio.run(self._hold(client))

    async def _hold(self, client: mont.MontClient) -> None:
        try:
            async with client:
                stop = asyncio.Event()
                self._started.set_result((asyncio.get_running_loop(), stop))
                await stop.wait()
        except BaseException as error:
            if not self._started.done():
                self._started.set_exception(error)
            raise
