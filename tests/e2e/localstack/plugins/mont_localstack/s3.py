"""Makes LocalStack verify browser forms for S3 as AWS does.

By itself it compares a form with its policy, but not the policy with its signature, and it takes
fields of which the policy says nothing: a service could sign all wrong and never notice.
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-authentication-HTTPPOST.html
"""

import base64
import hmac
import json
from collections.abc import Mapping

from localstack.aws.api.s3 import AccessDenied
from localstack.services.s3 import presigned_url, provider
from moto.sts.models import sts_backends
from werkzeug.datastructures import ImmutableMultiDict

_FIELDS_OUTSIDE_THE_POLICY = frozenset({"x-amz-signature", "file", "policy"})

_localstack_validate = presigned_url.validate_post_policy


def verify_forms() -> None:
    """Put the stricter check in LocalStack's place."""
    provider.validate_post_policy = validate_post_policy  # type: ignore[attr-defined]


def validate_post_policy(
    request_form: ImmutableMultiDict[str, str], additional_policy_metadata: dict[str, object]
) -> None:
    """Refuse what S3 would: by signature and fields here, by policy in LocalStack."""
    fields = {name.lower(): value for name, value in request_form.items()}
    if "policy" in fields and "x-amz-credential" in fields:
        _verify_signature(fields)
        _verify_token(fields)
        _verify_fields(fields)
    _localstack_validate(request_form, additional_policy_metadata)


def _verify_signature(fields: Mapping[str, str]) -> None:
    scope = fields["x-amz-credential"].split("/")[1:]
    credentials = presigned_url.get_credentials_from_parameters(dict(fields), scope[1])
    key = f"AWS4{credentials.secret_access_key}".encode()
    for part in scope:
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, fields["policy"].encode(), "sha256").hex()
    if not hmac.compare_digest(signature, fields.get("x-amz-signature", "")):
        raise presigned_url.create_signature_does_not_match_sig_v2(
            request_signature=fields.get("x-amz-signature", ""),
            string_to_sign=fields["policy"],
            access_key_id=credentials.access_key_id,
        )


def _verify_token(fields: Mapping[str, str]) -> None:
    access_key_id = fields["x-amz-credential"].split("/")[0]
    for account in sts_backends.values():
        for partition in account.values():
            role = partition.get_assumed_role_from_access_key(access_key_id)
            if role and fields.get("x-amz-security-token") != role.session_token:
                raise AccessDenied("The provided token is missing or does not match.")


def _verify_fields(fields: Mapping[str, str]) -> None:
    allowed = set(_FIELDS_OUTSIDE_THE_POLICY)
    for condition in json.loads(base64.b64decode(fields["policy"]))["conditions"]:
        names = condition if isinstance(condition, dict) else [condition[1]]
        allowed |= {str(name).removeprefix("$").lower() for name in names}
    extra = [name for name in fields if name not in allowed and not name.startswith("x-ignore-")]
    if extra:
        raise AccessDenied(f"Invalid according to Policy: Extra input fields: {', '.join(extra)}")
