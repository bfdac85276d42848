"""The server under a mixed load for a long time: nothing may grow, no answer may surprise.

    python -m tests.soak.soak          (SOAK_SECONDS, default 600; SOAK_CLIENTS, default 6)

Every client uploads, lists, shows, edits, links, fetches and deletes images of its own, and asks
for what is not there or makes no sense. What it made it deletes, so the data set stays as small as
it is. Ends with status 1 where memory, descriptors or tasks of the server grow, or an answer is
not the one that is due.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import count

import aiohttp

from tests.support.api import Answer, HttpApi, new_user
from tests.support.process_facts import children_of, facts_of
from tests.support.real_images import FORMATS, real_image
from tests.support.server import Server, running_server

# Allowed growth over the time that is judged: what allocators and pools do by themselves.
MOST_GROWTH = {"memory, MB": 6.0, "descriptors": 20.0, "tasks": 20.0}
# Of the time, until caches, pools and heaps are as large as they get.
_WARM_UP = 0.3
_SAMPLES = 60
_IMAGES = 3


@dataclass
class Outcome:
    """What came back, and what should not have."""

    answers: Counter[str] = field(default_factory=Counter)
    surprises: list[str] = field(default_factory=list)

    def expect(self, what: str, answer: Answer, *statuses: int) -> None:
        """Count an answer that is due; keep what is wrong with another."""
        self.answers[f"{what} {answer.status}"] += 1
        if answer.status not in statuses:
            self.surprises.append(f"{what}: {answer.status} {answer.body[:200]!r}")


async def use(api: HttpApi, outcome: Outcome, until: float) -> None:
    """One client, until it is time."""
    user, kinds = new_user(), sorted(FORMATS)
    for turn in count():
        if time.monotonic() > until:
            return
        kind = kinds[turn % len(kinds)]
        images = [real_image(kind) for _ in range(_IMAGES)]
        ids = []
        for image in images:
            ticket = await api.stage(user, image, tags=["soak"])
            outcome.expect("complete", await api.complete(user, ticket["image_id"]), 200)
            ids.append(ticket["image_id"])
        await look_at(api, outcome, user, ids)
        await ask_nonsense(api, outcome, ids[0])
        body = {"user_id": user, "image_ids": ids[1:]}
        outcome.expect("deletions", await api.request("POST", "/images/delete", json=body), 200)
        body = {"user_id": user}
        path = f"/images/{ids[0]}"
        outcome.expect("delete", await api.request("DELETE", path, json=body), 200)
        outcome.expect("delete again", await api.request("DELETE", path, json=body), 404)
        listed = await api.request("GET", "/images", params={"user_id": user})
        outcome.expect("empty list", listed, 200)
        if listed.status == 200 and listed.json()["count"]:
            outcome.surprises.append(f"deleted images are listed: {listed.body[:200]!r}")


async def look_at(api: HttpApi, outcome: Outcome, user: str, ids: list[str]) -> None:
    """Everything that can be asked of images that are there."""
    listed = await api.request("GET", "/images", params={"user_id": user, "limit": 2})
    outcome.expect("list", listed, 200)
    outcome.expect("list of all", await api.request("GET", "/images", params={"limit": 5}), 200)
    for image_id in ids:
        path = f"/images/{image_id}"
        outcome.expect("show", await api.request("GET", path), 200)
        edit = {"user_id": user, "description": "soaked"}
        outcome.expect("edit", await api.request("PATCH", path, json=edit), 200)
        link = await api.request("GET", f"{path}/download-url")
        outcome.expect("link", link, 200)
        fetched = await api.fetch(link.json()["presigned_url"])
        outcome.expect("fetch", fetched, 200)


async def ask_nonsense(api: HttpApi, outcome: Outcome, image_id: str) -> None:
    """What clients get wrong."""
    unknown = f"/images/{'0' * 8}-0000-4000-8000-{'0' * 12}"
    outcome.expect("unknown", await api.request("GET", unknown), 404)
    bad = await api.request("POST", "/images/upload-url", json={"user_id": "a/b"})
    outcome.expect("bad fields", bad, 400)
    foreign = await api.request("DELETE", f"/images/{image_id}", json={"user_id": "nobody"})
    outcome.expect("foreign", foreign, 401)
    outcome.expect("no path", await api.request("GET", "/nothing"), 404)
    large = await api.request("POST", "/images/complete", data=b"x" * 70_000)
    outcome.expect("too large", large, 413)


@dataclass
class Series:
    """Values over time."""

    points: list[tuple[float, float]] = field(default_factory=list)

    def judged(self, since: float) -> list[tuple[float, float]]:
        """The points that count."""
        return [point for point in self.points if point[0] >= since]

    def slope(self, since: float) -> float:
        """Growth a second, by least squares."""
        points = self.judged(since)
        middle = sum(at for at, _ in points) / len(points)
        mean = sum(value for _, value in points) / len(points)
        spread = sum((at - middle) ** 2 for at, _ in points)
        return sum((at - middle) * (value - mean) for at, value in points) / (spread or 1)


async def sample(server: Server, api: HttpApi, series: dict[str, Series], seconds: float) -> None:
    """Look at the server every now and then."""
    began = time.monotonic()
    (store,) = children_of(server.process.pid)
    while (at := time.monotonic() - began) < seconds:
        facts = facts_of(server.process.pid)
        metrics = (await api.request("GET", "/metrics")).body.decode()
        tasks = re.search(r"^mont_tasks (\S+)$", metrics, re.MULTILINE)
        assert tasks is not None
        values = {
            "memory, MB": facts.rss,
            "descriptors": float(facts.descriptors),
            "tasks": float(tasks[1]),
            "embedded store, MB": facts_of(store).rss,
        }
        for name, value in values.items():
            series.setdefault(name, Series()).points.append((at, value))
        await asyncio.sleep(seconds / _SAMPLES)


async def main() -> None:
    """Soak, print, judge."""
    seconds = float(os.environ.get("SOAK_SECONDS", "600"))
    clients = int(os.environ.get("SOAK_CLIENTS", "6"))
    outcome, series = Outcome(), dict[str, Series]()
    environment = {"LOG_LEVEL": "WARNING"}
    async with running_server("--backend", "embedded", environment=environment) as server:
        # Connections end and begin as they do where clients come and go.
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=2)
        async with aiohttp.ClientSession(connector=connector) as browser:
            api = HttpApi(browser, server.url)
            until = time.monotonic() + seconds
            async with asyncio.TaskGroup() as group:
                group.create_task(sample(server, api, series, seconds))
                for _ in range(clients):
                    group.create_task(use(api, outcome, until))
    sys.exit(report(outcome, series, seconds))


def report(outcome: Outcome, series: dict[str, Series], seconds: float) -> str | None:
    """Print what was seen; what is wrong with it, if anything."""
    since = seconds * _WARM_UP
    wrong = [f"{len(outcome.surprises)} surprises"] if outcome.surprises else []
    print(f"{outcome.answers.total()} answers in {seconds:.0f} s: {dict(outcome.answers)}")
    for surprise in outcome.surprises[:20]:
        print(f"  not expected: {surprise}")
    for name, values in series.items():
        first, last = values.judged(since)[0][1], values.judged(since)[-1][1]
        slope = values.slope(since)
        print(f"{name:20} {first:8.1f} to {last:8.1f}   slope {slope * 3600:+10.2f} an hour")
        if slope * (seconds - since) > MOST_GROWTH.get(name, float("inf")):
            wrong.append(f"{name} grows")
    return ", ".join(wrong) or None


if __name__ == "__main__":
    asyncio.run(main())
