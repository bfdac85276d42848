"""What the OpenAPI document says of single fields, where apispec alone cannot know it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from apispec.ext.marshmallow.openapi import OpenAPIConverter
from marshmallow import fields

from service import schemas
from service.naming import USER_ID_PATTERN

# As `timestamps` reads them, but for days that a month does not have and years before 1.
_DATE = "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_TIME = "[Tt ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.,][0-9]{1,9})?)?"
_OFFSET = "[Zz]|[+ -]([01][0-9]|2[0-3]):?[0-5][0-9]"


def wire_format(
    self: OpenAPIConverter, field: fields.Field[Any], ret: dict[str, Any], **_: Any
) -> dict[str, Any]:
    """An attribute function of apispec: what to add to `ret`, the field's schema so far."""
    more: dict[str, Any] = {}
    match field:
        case schemas.UserId():
            # JSON Schema's patterns are ECMAScript's, which has no \Z.
            more["pattern"] = "^" + USER_ID_PATTERN.pattern.replace(r"\Z", "$")
        case schemas.Instant():
            more["pattern"] = f"^{_DATE}({_TIME}({_OFFSET})?)?$"
        case fields.Url():
            more["format"] = "uri"  # marshmallow's "url" is not one of JSON Schema's formats
        case fields.Constant():
            more["const"] = field.constant
        case schemas.EitherOf():
            resolve = self.resolve_nested_schema
            more["oneOf"] = [resolve(each) for each in field.kinds]  # type: ignore[no-untyped-call]
        case fields.String(name="content_type") if "enum" in ret:
            names = _names_of(ret["enum"])
            if len(set(names)) == len(names) and all(each.isidentifier() for each in names):
                more["x-enum-varnames"] = names
        case _:
            pass
    return more


def _names_of(content_types: Iterable[str]) -> list[str]:
    """What generators call the members of the enumeration, instead of IMAGEJPEG or VALUE_0."""
    return [re.sub(r"\W", "_", each.removeprefix("image/")).upper() for each in content_types]
