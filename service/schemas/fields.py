"""The contract's own kinds of field, each with its rule."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from marshmallow import ValidationError, fields, validate

from service.naming import USER_ID_PATTERN

UUID_PATTERN = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
MOST_TAGS, LONGEST_TAG, LONGEST_DESCRIPTION, LONGEST_FILENAME, LARGEST_BATCH = 20, 50, 500, 255, 100


class ImageId(fields.String):
    """A UUID in its usual spelling; upper case is accepted and made lower."""

    def __init__(self, **keywords: Any) -> None:
        super().__init__(**{"metadata": {"format": "uuid"}, **keywords})

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **keywords: Any
    ) -> str:
        text = super()._deserialize(value, attr, data, **keywords)
        if text is None or not UUID_PATTERN.fullmatch(text):
            raise ValidationError("Not a UUID.")
        return text.lower()


class UserId(fields.String):
    """Who an image belongs to."""

    def __init__(self, **keywords: Any) -> None:
        super().__init__(
            validate=validate.Regexp(
                USER_ID_PATTERN,
                error="Must be 1 to 128 of A-Z a-z 0-9 . _ @ + : - and not . or ..",
            ),
            **keywords,
        )


class Count(fields.Integer):
    """A whole number of the JSON type number: neither text nor true nor 1.5."""

    def __init__(self, **keywords: Any) -> None:
        super().__init__(**keywords)

    def _validated(self, value: Any) -> int:
        # To JSON Schema 1.0 is an integer as well as 1.
        if isinstance(value, bool) or not isinstance(value, int | float) or value % 1 != 0:
            raise self.make_error("invalid", input=value)
        return int(value)


class QueryCount(fields.Integer):
    """A whole number in a query string: digits and nothing else."""

    def _validated(self, value: Any) -> int:
        if not re.fullmatch(r"\d{1,9}", str(value), re.ASCII):
            raise self.make_error("invalid", input=value)
        return int(value)


class Instant(fields.String):
    """A date or time, turned into the first or last instant that it includes."""

    def __init__(self, bound: Callable[[str], str], **keywords: Any) -> None:
        """`bound` is `timestamps.earliest` or `timestamps.latest`."""
        self._bound = bound
        super().__init__(**keywords)

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **keywords: Any
    ) -> str:
        text = super()._deserialize(value, attr, data, **keywords)
        try:
            return self._bound(text or "")
        except ValueError as error:
            raise ValidationError(str(error)) from error


def tags_field(**keywords: Any) -> fields.List[str]:
    """Up to 20 tags of 1 to 50 characters."""
    tag = fields.String(validate=validate.Length(1, LONGEST_TAG))
    return fields.List(tag, validate=validate.Length(max=MOST_TAGS), **keywords)


def description_field(**keywords: Any) -> fields.String:
    """Up to 500 characters, or null."""
    return fields.String(
        validate=validate.Length(max=LONGEST_DESCRIPTION), allow_none=True, **keywords
    )
