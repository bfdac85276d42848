"""What S3's answers mean, in the words of the SDK.

https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from botocore.exceptions import ClientError

from service.storage.calls import Answer, metadata, reason

# Loaded by the first document: a function that only signs reads none.
if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from service.storage.transport import Reply

_REQUEST_ID = "x-amz-request-id"
_METADATA = "x-amz-meta-"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# Beside redirects; a HEAD signed for another region gets no more than 400.
_ELSEWHERE = {"400", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}
_SHOWN = {
    "ETag": "etag",
    "ContentType": "content-type",
    "ContentRange": "content-range",
    "CacheControl": "cache-control",
}


class Body:
    """An object's bytes, all here already; to be read as the SDK's stream is."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def read(self) -> bytes:
        """All that there is."""
        return self._content

    async def __aenter__(self) -> Body:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing is held."""


def read_object(operation: str, reply: Reply) -> Answer:
    """GetObject's. Raises ClientError, as all of these do."""
    answer = read_head(operation, reply)
    answer["Body"] = Body(reply.body)
    return answer


def read_head(operation: str, reply: Reply) -> Answer:
    """HeadObject's."""
    answer = read_nothing(operation, reply)
    headers = reply.headers
    for name, header in _SHOWN.items():
        if (value := headers.get(header)) is not None:
            answer[name] = value
    if (length := headers.get("content-length")) is not None:
        answer["ContentLength"] = int(length)
    if (modified := headers.get("last-modified")) is not None:
        answer["LastModified"] = _http_time(modified)
    answer["Metadata"] = {
        name[len(_METADATA) :].lower(): value
        for name, value in headers.items()
        if name[: len(_METADATA)].lower() == _METADATA
    }
    return answer


def read_nothing(operation: str, reply: Reply) -> Answer:
    """HeadBucket's, which says no more than that."""
    if reply.status >= 300:
        raise _refusal(operation, reply)
    return {"ResponseMetadata": metadata(reply, _REQUEST_ID)}


def read_copy(operation: str, reply: Reply) -> Answer:
    """CopyObject's."""
    answer, root = _read(operation, reply)
    answer["CopyObjectResult"] = _copied(root)
    return answer


def read_deletion(operation: str, reply: Reply) -> Answer:
    """DeleteObjects's."""
    answer, root = _read(operation, reply)
    for name, tag in (("Deleted", "Deleted"), ("Errors", "Error")):
        if found := [_texts(each) for each in _children(root, tag)]:
            answer[name] = found
    return answer


def read_listing(operation: str, reply: Reply) -> Answer:
    """ListObjectsV2's."""
    answer, root = _read(operation, reply)
    texts = _texts(root)
    encoded = texts.get("EncodingType") == "url"

    def plain(text: str) -> str:
        return unquote_plus(text) if encoded else text

    for name in ("KeyCount", "MaxKeys"):
        if name in texts:
            answer[name] = int(texts[name])
    for name in ("Prefix", "Delimiter", "StartAfter"):
        if name in texts:
            answer[name] = plain(texts[name])
    for name in ("Name", "EncodingType", "ContinuationToken", "NextContinuationToken"):
        if name in texts:
            answer[name] = texts[name]
    answer["IsTruncated"] = texts.get("IsTruncated") == "true"
    if contents := [_listed(_texts(each), encoded) for each in _children(root, "Contents")]:
        answer["Contents"] = contents
    prefixes = [_texts(each) for each in _children(root, "CommonPrefixes")]
    if prefixes:
        answer["CommonPrefixes"] = [{"Prefix": plain(each["Prefix"])} for each in prefixes]
    return answer


def _listed(texts: dict[str, str], encoded: bool) -> dict[str, Any]:
    """One entry of a list."""
    key = texts["Key"]
    entry: dict[str, Any] = {**texts, "Key": unquote_plus(key) if encoded else key}
    if "Size" in entry:
        entry["Size"] = int(entry["Size"])
    if "LastModified" in entry:
        entry["LastModified"] = datetime.fromisoformat(entry["LastModified"])
    return entry


def _copied(root: Element | None) -> dict[str, Any]:
    result: dict[str, Any] = dict(_texts(root))
    if "LastModified" in result:
        result["LastModified"] = datetime.fromisoformat(result["LastModified"])
    return result


def _read(operation: str, reply: Reply) -> tuple[Answer, Element | None]:
    """A document that may be an error although the status says 200.

    S3 answers before it is done, so as not to keep the caller waiting, and may fail after. The SDK
    takes that, and a document that breaks off, for a status 500.
    """
    answer = read_nothing(operation, reply)
    if not reply.body:
        return answer, None
    root = _document(reply.body)
    # Also a page of whatever sits in between, which says nothing of what S3 did.
    if root is None or not _tag(root).endswith("Result"):
        raise _refusal(operation, reply, 500)
    return answer, root


def _refusal(operation: str, reply: Reply, status: int | None = None) -> ClientError:
    """What the SDK makes of an error; `status` where it is another than the answer's."""
    status = status or reply.status
    about = {**metadata(reply, _REQUEST_ID), "HostId": reply.headers.get("x-amz-id-2", "")}
    about["HTTPStatusCode"] = status
    error = _error(reply.body)
    error.setdefault("Code", str(status))
    error.setdefault("Message", reason(status))
    region = reply.headers.get("x-amz-bucket-region") or error.get("Region")
    if region and (300 <= status < 400 or error["Code"] in _ELSEWHERE):
        error["Message"] += f" (the bucket is in {region}: AWS_REGION has to say so)"
    return ClientError({"Error": error, "ResponseMetadata": about}, operation)


def _error(body: bytes) -> dict[str, str]:
    """The error in a document; nothing where it is none, as after HEAD."""
    root = _document(body)
    if root is None or _tag(root) != "Error":
        return {}
    error = _texts(root)
    error.pop("RequestId", None)
    error.pop("HostId", None)
    return error


def _document(body: bytes) -> Element | None:
    """The root, unless this is no XML."""
    from xml.etree import ElementTree

    try:
        return ElementTree.fromstring(body)  # noqa: S314 (the SDK parses it no other way)
    except ElementTree.ParseError:
        return None


def _children(root: Element | None, tag: str) -> Iterator[Element]:
    return (each for each in (() if root is None else root) if _tag(each) == tag)


def _texts(node: Element | None) -> dict[str, str]:
    """Tag and text of the children that have no children themselves."""
    return {_tag(each): each.text or "" for each in (() if node is None else node) if not len(each)}


def _tag(node: Element) -> str:
    """The name without its namespace, which some servers leave out."""
    return node.tag.rpartition("}")[2]


def _http_time(text: str) -> datetime:
    """A time as in RFC 9110: "Thu, 12 Feb 2026 17:50:30 GMT"."""
    try:
        day, month, year, clock = text.split()[1:5]
        hour, minute, second = map(int, clock.split(":"))
        return datetime(
            int(year), _MONTHS.index(month) + 1, int(day), hour, minute, second, tzinfo=UTC
        )
    except ValueError:
        from email.utils import parsedate_to_datetime  # older forms

        return parsedate_to_datetime(text)


__all__ = [
    "Body",
    "read_copy",
    "read_deletion",
    "read_head",
    "read_listing",
    "read_nothing",
    "read_object",
]
