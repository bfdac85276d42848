"""Clients that do whatever comes to their minds, in any order, and what must come of it."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar
from uuid import uuid4

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.model.picture import Declared, Picture, Query, Shown, Staged, Walk
from tests.support.api import Answer, Api
from tests.support.real_images import RealImage, real_image, real_images

T = TypeVar("T")

USERS = ("ann", "bob", "c@d.example")
TAGS = ("sea", "Ü", "two words", "sea,shore")

users = st.sampled_from(USERS)
tag_lists = st.lists(st.sampled_from(TAGS), max_size=3)
descriptions = st.sampled_from([None, "", "Evening", "<b>\n\0", "ß" * 500])
numbers = st.integers(0, 1_000)
pictures = st.sampled_from([*real_images(), real_image("image/png", 30, 20, 90)])


class Street(Protocol):
    """A way to an API whose stores nobody else uses."""

    api: Api

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What comes of it, waited for."""
        ...


class Clients(RuleBasedStateMachine):
    """Three users of one service. Each step does one thing and knows what has to come of it."""

    street: Street  # set by whoever runs the machine

    def __init__(self) -> None:
        super().__init__()
        self.picture = Picture()

    def ask(self, method: str, path: str, **more: Any) -> Answer:
        return self.street.run(self.street.api.request(method, path, **more))

    def some_id(self, number: int) -> str:
        """One of the ids handed out so far, or one that never was."""
        known = [*self.picture.known_ids(), str(uuid4())]
        return known[number % len(known)]

    def some_image(self, number: int) -> Shown:
        names = sorted(self.picture.images)
        return self.picture.images[names[number % len(names)]]

    # --- Uploading ---

    @rule(
        user=users,
        image=pictures,
        name=st.sampled_from(["a.jpg", "Grüße 1.png", "../x", 'q".gif']),
        tags=tag_lists,
        description=descriptions,
        key=st.sampled_from([None, None, "k1", "k2"]),
    )
    def declare(
        self,
        user: str,
        image: RealImage,
        name: str,
        tags: list[str],
        description: str | None,
        key: str | None,
    ) -> None:
        named = RealImage(name, image.content_type, image.width, image.height, image.body)
        body = {
            "user_id": user,
            "filename": name,
            "content_type": image.content_type,
            "file_size": image.size,
            "tags": tags,
            "description": description,
        }
        headers = {} if key is None else {"Idempotency-Key": key + self.run_id}
        tickets = [
            self.ask("POST", "/images/upload-url", json=body, headers=headers).json()
            for _ in range(1 if key is None else 2)
        ]
        assert len({ticket["image_id"] for ticket in tickets}) == 1
        if key is None:
            assert tickets[0]["image_id"] not in self.picture.known_ids()
        self.picture.declared.append(Declared(user, named, tags, description, tickets[-1]))

    run_id = ""

    @precondition(lambda self: self.picture.declared)
    @rule(number=numbers, how=st.sampled_from(["as declared"] * 3 + ["no image", "longer"]))
    def upload(self, number: int, how: str) -> None:
        """Any form, at any time: also again, and after its image was completed or deleted."""
        declared = self.picture.declared[number % len(self.picture.declared)]
        body = declared.image.body
        if how == "no image":
            body = b"<html>".ljust(len(body), b"x")
        elif how == "longer":
            body += b"x"
        status = self.street.run(self.street.api.post_form(declared.ticket, body))
        if status < 300:
            self.picture.staged[declared.image_id] = Staged(declared, body)
        else:  # a store that keeps to the policy itself
            assert how == "longer"

    @precondition(lambda self: self.picture.declared)
    @rule(
        number=numbers,
        user=users | st.just(""),
        said=st.sampled_from([{}, {}, {"tags": ["late"]}, {"file_size": 7}, {"filename": "n.x"}]),
    )
    def complete(self, number: int, user: str, said: dict[str, Any]) -> None:
        """Usually its owner ("" here), with what was declared or with something else to say."""
        declared = self.picture.declared[number % len(self.picture.declared)]
        image_id, user = declared.image_id, user or declared.user
        body = {"image_id": image_id, "user_id": user, **said}
        answer = self.ask("POST", "/images/complete", json=body)
        shown = self.picture.images.get(image_id)
        staged = self.picture.staged.get(image_id)
        own = staged is not None and user == declared.user
        if own and staged is not None and not staged.sound:
            # What can never become an image is removed by the first look at it.
            del self.picture.staged[image_id]
        if shown is not None:
            if user == shown.user:
                assert self.outcome(answer) == (image_id, "completed")
            else:
                answer.problem(409, "image-id-taken")
        elif not own or staged is None:
            answer.problem(404, "nothing-uploaded")
        elif not staged.sound or "file_size" in said:
            answer.problem(422, "upload-rejected")
        else:
            assert self.outcome(answer) == (image_id, "completed")
            self.appears(image_id, staged, said)

    def outcome(self, answer: Answer) -> tuple[str, str]:
        assert answer.status == 200, answer.body
        document = answer.json()
        return document["image_id"], document["status"]

    def appears(self, image_id: str, staged: Staged, said: dict[str, Any]) -> None:
        answer = self.ask("GET", f"/images/{image_id}")
        document = answer.json()
        declared = staged.declared
        expected = {
            "image_id": image_id,
            "user_id": declared.user,
            "filename": declared.image.filename,
            "content_type": declared.image.content_type,
            "file_size": declared.image.size,
            "tags": declared.tags,
            "description": declared.description,
            "status": "completed",
            "width": declared.image.width,
            "height": declared.image.height,
            **said,
        }
        assert {name: document[name] for name in expected} == expected
        newest = max((each.position for each in self.picture.images.values()), default=("", ""))
        assert document["upload_timestamp"] >= newest[0]
        self.picture.images[image_id] = Shown(
            declared.user, document, staged.body, answer.headers["ETag"]
        )
        self.picture.moved_on()

    # --- One image ---

    @rule(number=numbers)
    def show(self, number: int) -> None:
        image_id = self.some_id(number)
        answer = self.ask("GET", f"/images/{image_id}")
        shown = self.picture.images.get(image_id)
        if shown is None:
            answer.problem(404, "image-not-found")
        else:
            assert answer.json() == shown.document
            assert answer.headers["ETag"] == shown.etag

    @rule(number=numbers, disposition=st.sampled_from(["inline", "attachment"]))
    def download(self, number: int, disposition: str) -> None:
        image_id = self.some_id(number)
        path = f"/images/{image_id}/download-url"
        answer = self.ask("GET", path, params={"disposition": disposition})
        shown = self.picture.images.get(image_id)
        if shown is None:
            answer.problem(404, "image-not-found")
        else:
            self.serves(answer.json(), shown)

    def serves(self, link: dict[str, Any], shown: Shown) -> None:
        assert link["filename"] == shown.document["filename"]
        served = self.street.run(self.street.api.fetch(link["presigned_url"]))
        assert (served.status, served.body) == (200, shown.body)
        assert served.headers["Content-Type"] == shown.document["content_type"]

    @rule(
        number=numbers,
        user=users | st.just(""),
        change=st.fixed_dictionaries(
            {}, optional={"tags": st.none() | tag_lists, "description": descriptions}
        ).filter(bool),
        condition=st.sampled_from(["none", "none", "current", "any", "other"]),
    )
    def edit(self, number: int, user: str, change: dict[str, Any], condition: str) -> None:
        image_id = self.some_id(number)
        shown = self.picture.images.get(image_id)
        user = user or (shown.user if shown else USERS[0])
        tag = {"any": "*", "other": '"9-abc"', "none": None}.get(
            condition, shown.etag if shown else '"1-1"'
        )
        answer = self.ask(
            "PATCH",
            f"/images/{image_id}",
            json={"user_id": user, **change},
            headers={} if tag is None else {"If-Match": tag},
        )
        if shown is None:
            answer.problem(404, "image-not-found")
        elif user != shown.user:
            answer.problem(401, "not-the-owner")
        elif condition == "other":
            answer.problem(412, "revision-mismatch")
        else:
            change = {**change, **({"tags": change["tags"] or []} if "tags" in change else {})}
            shown.document = {**shown.document, **change}
            assert answer.json() == shown.document
            assert answer.headers["ETag"] != shown.etag
            shown.etag = answer.headers["ETag"]
            self.picture.moved_on()

    @rule(number=numbers, user=users | st.just(""))
    def delete(self, number: int, user: str) -> None:
        image_id = self.some_id(number)
        shown = self.picture.images.get(image_id)
        user = user or (shown.user if shown else USERS[0])
        answer = self.ask("DELETE", f"/images/{image_id}", json={"user_id": user})
        if shown is None:
            answer.problem(404, "image-not-found")
        elif user != shown.user:
            answer.problem(401, "not-the-owner")
        else:
            assert self.outcome(answer) == (image_id, "deleted")
            self.picture.remove([image_id])

    # --- Several ---

    @rule(picks=st.lists(numbers, min_size=1, max_size=5, unique=True), user=users)
    def download_several(self, picks: list[int], user: str) -> None:
        image_ids = [self.some_id(number) for number in picks]
        results = self.batch("/images/download-urls", user, image_ids)
        for image_id, result in zip(image_ids, results, strict=True):
            shown = self.picture.images.get(image_id)
            assert result["image_id"] == image_id
            if shown is not None and shown.user == user:
                self.serves(result, shown)
            else:
                assert result["status"] == (404 if shown is None else 401)

    @rule(picks=st.lists(numbers, min_size=1, max_size=3, unique=True), user=users)
    def delete_several(self, picks: list[int], user: str) -> None:
        image_ids = [self.some_id(number) for number in picks]
        results = self.batch("/images/delete", user, image_ids)
        outcomes: dict[str, list[Any]] = {}
        for image_id, result in zip(image_ids, results, strict=True):
            assert result["image_id"] == image_id
            outcomes.setdefault(image_id, []).append(result["status"])
        for image_id, statuses in outcomes.items():
            shown = self.picture.images.get(image_id)
            if shown is None:
                assert set(statuses) == {404}
            elif shown.user != user:
                assert set(statuses) == {401}
            else:
                # Named twice, it is deleted once.
                assert statuses.count("deleted") == 1
                assert set(statuses) <= {"deleted", 404}
                self.picture.remove([image_id])

    def batch(self, path: str, user: str, image_ids: list[str]) -> list[Any]:
        answer = self.ask("POST", path, json={"user_id": user, "image_ids": image_ids})
        assert answer.status == 200, answer.body
        results: list[Any] = answer.json()["results"]
        return results

    # --- Lists ---

    queries = st.builds(
        Query,
        st.none() | users,
        st.none() | st.sampled_from(TAGS),
        st.sampled_from(["asc", "desc"]),
    )

    @rule(query=queries, limit=st.integers(1, 4))
    def list_all(self, query: Query, limit: int) -> None:
        expected, found = self.picture.listed(query), []
        parameters = {**query.parameters(), "limit": str(limit)}
        while True:
            page = self.ask("GET", "/images", params=parameters).json()
            found += page["images"]
            assert page["count"] == len(page["images"])
            assert page["has_more"] == (page["next_token"] is not None)
            if page["next_token"] is None:
                break
            assert page["count"] == limit
            parameters["next_token"] = page["next_token"]
        assert found == expected

    @rule(query=queries, limit=st.integers(1, 3))
    def begin_a_walk(self, query: Query, limit: int) -> None:
        now = self.picture.ids_of(query)
        self.picture.walks.append(Walk(query, limit, set(now), set(now)))

    @precondition(lambda self: any(not walk.ended for walk in self.picture.walks))
    @rule(number=numbers)
    def go_on_with_a_walk(self, number: int) -> None:
        walks = [walk for walk in self.picture.walks if not walk.ended]
        walk = walks[number % len(walks)]
        parameters = {**walk.query.parameters(), "limit": str(walk.limit)}
        if walk.token is not None:
            parameters["next_token"] = walk.token
        page = self.ask("GET", "/images", params=parameters).json()
        walk.seen += [image["image_id"] for image in page["images"]]
        walk.token = page["next_token"]
        walk.ended = walk.token is None
        assert len(set(walk.seen)) == len(walk.seen)
        assert set(walk.seen) <= walk.ever | self.picture.gone
        if walk.ended:
            assert walk.throughout <= set(walk.seen)

    # --- At any time ---

    @invariant()
    def no_form_leads_to_where_images_are_served_from(self) -> None:
        for declared in self.picture.declared[-1:]:
            key = declared.ticket["fields"]["key"]
            assert key == f"uploads/{declared.user}/{declared.image_id}"

    def teardown(self) -> None:
        """Everything is as it should be; then everything goes."""
        self.list_all(Query(None, None, "desc"), 4)
        for user in USERS:
            own = [name for name, image in self.picture.images.items() if image.user == user]
            for start in range(0, len(own), 100):
                self.batch("/images/delete", user, own[start : start + 100])
            self.picture.remove(own)
        self.list_all(Query(None, None, "desc"), 4)
