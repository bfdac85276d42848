"""What people read in the OpenAPI document, in CommonMark: the whole, and each operation.

Written for those who call the API from a front end. What each field means stands in the schemas.
"""

from __future__ import annotations

from dataclasses import dataclass

ABOUT = """Image uploads that never pass through an upload proxy.

1. `POST /images/upload-url` with the file's name, type and exact size.
2. `POST` the form to `presigned_url`: every entry of `fields` first, then the bytes as `file`.
3. `POST /images/complete`: the service verifies what arrived and records it.

**Errors** are `application/problem+json` (RFC 9457). Compare `type`, which never changes; show
`detail`; quote `instance` when you report one: it is the answer's `X-Request-Id`.

**Trying again** is safe with every call. After a 429 or a 503 wait as many seconds as `Retry-After`
says; after no answer at all, or a 500, a second and then longer. Other errors stay what they are.

**Names** are case-sensitive, times are UTC (RFC 3339), sizes are bytes.
"""

TAGS = (
    {"name": "images", "description": "Upload, find, change, fetch and delete images."},
    {"name": "health", "description": "For load balancers and monitoring. Never limited."},
)


@dataclass(frozen=True, slots=True)
class Text:
    """An operation's description, and what its 200 means."""

    description: str
    answer: str


_BATCH = """For up to 100 images of one user. `results` has one entry for each id, in the order of
`image_ids`: what the single call would have answered, or its problem with the item's `image_id`.
Tell them apart by `type`, which only problems have. The answer is 200 even if every item failed."""

OPERATIONS: dict[str, Text] = {
    "upload_url": Text(
        """Touches no store: ask for one form per file, shortly before you send it.

Send the form as `multipart/form-data`. Its order matters: every entry of `fields`, unchanged, and
`file` **last**, since S3 does not read what follows the file.

```js
const form = new FormData();
for (const [name, value] of Object.entries(ticket.fields)) form.append(name, value);
form.append("file", file);
const sent = await fetch(ticket.presigned_url, { method: ticket.method, body: form });
```

Set no `Content-Type` yourself (the browser adds the boundary), and send S3 neither API key nor
token. S3 answers 204. It answers 403 when the form has expired (`expires_at`) or was changed, and
400 when the file has not exactly `file_size` bytes; its errors are XML. Then call
`POST /images/complete`. A form whose sending was cut short can be sent again.

`Idempotency-Key` is for lost answers: make one random value per file and send the same with every
attempt. The same declaration then gets the same `image_id`, so that no image is made twice.""",
        "The form. Keep `image_id`: completing the upload needs it.",
    ),
    "complete": Text(
        """Reads the uploaded bytes, compares size, type and signature with what was declared, and
makes the image visible. What you leave out is taken from the declaration.

Asking again gives the same answer. 404 `nothing-uploaded` means that S3 has no bytes for this
`image_id` and `user_id`: send the form first. After a 422 start over with
`POST /images/upload-url`: `detail` says what is wrong with the file.""",
        "The image is there, and `GET /images` shows it.",
    ),
    "list_images": Text(
        """Without `user_id`: everybody's images, as far as the caller may see them. Filters can be
combined.

For the next page repeat the query with the `next_token` of this one, until `has_more` is false.
Pages walked to the end show every image once, even while others are deleted. A `next_token` is
good for its own query only.""",
        "One page. `next_token` is null on the last one.",
    ),
    "download_urls": Text(_BATCH, "A link or a problem for each id."),
    "delete_images": Text(_BATCH, "An outcome or a problem for each id."),
    "get_image": Text(
        """Send the `ETag` of an earlier answer as `If-None-Match`, and an unchanged image is
answered with 304 and no body. For the bytes see `GET /images/{image_id}/download-url`.""",
        "The image. `ETag` names this state of it.",
    ),
    "edit_image": Text(
        """Changes what is named and leaves the rest alone; null clears. Unknown fields are refused.

With `If-Match: ETAG`, where `ETAG` is the one that you last saw, nobody's edit is overwritten: if
somebody else was faster, the answer is 412. Get the image again, then decide.""",
        "The image as it is now, with its new `ETag`.",
    ),
    "delete_image": Text(
        """Deletes record and bytes. Name the owner in the body, or as `?user_id=` where a client
cannot send a body with DELETE. Deleting again is a 404.""",
        "The image is gone. Links to it that were given out stop working.",
    ),
    "download_url": Text(
        """The link is good for `expires_in` seconds, for whoever holds it: ask for it when it is
needed, and do not store it. Follow it without API key or token. It serves exactly the bytes that
were verified, under the image's type and file name.""",
        "The link.",
    ),
    "livez": Text("Looks at nothing but the process itself.", "The process is alive."),
    "readyz": Text(
        "Asks both stores. A load balancer should send requests only where this is 200.",
        "Both stores can be reached.",
    ),
}
