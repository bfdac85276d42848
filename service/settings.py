"""Every setting, from the environment: one frozen value, all problems reported at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from service.events.signing import secrets_of

IMAGE_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp", "image/bmp")
AuthMode = Literal["claimed", "api_key", "jwt"]
# None without a signature, none with a shared secret: whoever could verify could also sign.
JWT_ALGORITHMS = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA", "Ed25519"),
)
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_TABLE = re.compile(r"[A-Za-z0-9_.-]{3,255}")
_REGION = re.compile(r"[a-z0-9-]{1,32}")


class SettingsInvalid(Exception):
    """One or more environment variables have values that cannot be used."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(["The settings cannot be used:", *problems]))
        self.problems = problems


def _text(pattern: re.Pattern[str], rule: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError(rule)
        return text

    return parse


def _integer(lowest: int, highest: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"\d{1,16}", text, re.ASCII) or not lowest <= int(text) <= highest:
            raise ValueError(f"must be a whole number from {lowest} to {highest}")
        return int(text)

    return parse


def _url(text: str) -> str:
    parts = urlsplit(text)
    try:
        sound = parts.hostname and parts.port != 0 and not (parts.query or parts.fragment)
    except ValueError:  # a port that is no port
        sound = False
    if parts.scheme not in {"http", "https"} or not sound:
        raise ValueError("must be an http:// or https:// address")
    return text.rstrip("/")


def _choice(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.upper() not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return text.upper()

    return parse


def _host(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9.:_-]+", text):
        raise ValueError("must be a host name or address")
    return text


def _image_types(text: str) -> tuple[str, ...]:
    types = tuple(part.strip().lower() for part in text.split(",") if part.strip())
    if not types or not set(types) <= set(IMAGE_TYPES):
        raise ValueError(f"must be a comma-separated list out of {', '.join(IMAGE_TYPES)}")
    return types


def _auth_mode(text: str) -> str:
    if text.lower() not in get_args(AuthMode):
        raise ValueError(f"must be one of {', '.join(get_args(AuthMode))}")
    return text.lower()


def _hexadecimal(text: str) -> str:
    if not re.fullmatch(r"([0-9A-Fa-f]{2})+", text):
        raise ValueError("must be hexadecimal, two digits a byte")
    return text


def _jwks(text: str) -> str:
    """A file, or a URL that nobody on the way can put other keys behind."""
    if "://" not in text:
        return text
    parts = urlsplit(text)
    local = parts.hostname in {"localhost", "127.0.0.1", "::1"}
    if not parts.hostname or (parts.scheme != "https" and not (parts.scheme == "http" and local)):
        raise ValueError("must be a file or an https:// address (http:// on this machine only)")
    return text


def _jwt_algorithms(text: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    if not names or not set(names) <= set(JWT_ALGORITHMS):
        raise ValueError(f"must be a comma-separated list out of {', '.join(JWT_ALGORITHMS)}")
    return names


def _origins(text: str) -> tuple[str, ...]:
    origins = tuple(part.strip() for part in text.split(",") if part.strip())
    for origin in origins:
        if origin != "*" and not re.fullmatch(r"https?://[^/?#\s]+", origin):
            raise ValueError("must be * or a comma-separated list of origins (https://app.example)")
    return origins


def _events(text: str) -> str:
    if text.lower() not in {"off", "webhook", "eventbridge"}:
        raise ValueError("must be off, webhook or eventbridge")
    return text.lower()


def _setting(
    name: str, default: Any, parse: Callable[[str], Any], meaning: str, *, secret: bool = False
) -> Any:
    facts = {"name": name, "parse": parse, "meaning": meaning, "secret": secret}
    return field(default=default, repr=not secret, metadata=facts)


_names_bucket = _text(_BUCKET, "must be a bucket name: 3 to 63 of a-z 0-9 . -")
_names_table = _text(_TABLE, "must be 3 to 255 of A-Z a-z 0-9 _ . -")
_names_region = _text(_REGION, "must be a region such as eu-central-1")
_SECONDS_OF_A_WEEK = 604_800
_CLOCKS_AND_COLD_STARTS = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings. Each field's metadata holds its variable, its parser and its meaning."""

    host: str = _setting("HOST", "127.0.0.1", _host, "Address that the server listens on.")
    port: int = _setting(
        "PORT", 8080, _integer(0, 65535), "Port that the server listens on; 0 picks a free one."
    )
    log_level: str = _setting(
        "LOG_LEVEL",
        "INFO",
        _choice("DEBUG", "INFO", "WARNING", "ERROR"),
        "Least severe level that is logged; WARNING leaves out the access log.",
    )
    aws_region: str = _setting(
        "AWS_REGION", "us-east-1", _names_region, "Region of the bucket and the table."
    )
    aws_endpoint_url: str | None = _setting(
        "AWS_ENDPOINT_URL",
        None,
        _url,
        "Another S3 and DynamoDB than AWS, such as LocalStack at http://localhost:4566.",
    )
    embedded_port: int = _setting(
        "EMBEDDED_PORT", 0, _integer(0, 65535), "Port of the embedded backend; 0 picks a free one."
    )
    s3_bucket_name: str = _setting(
        "S3_BUCKET_NAME", "mont-images", _names_bucket, "Bucket of the image bytes."
    )
    s3_public_endpoint_url: str | None = _setting(
        "S3_PUBLIC_ENDPOINT_URL",
        None,
        _url,
        "S3 as clients reach it, where AWS_ENDPOINT_URL is not: presigned links carry this host.",
    )
    s3_presigned_url_expiry_upload: int = _setting(
        "S3_PRESIGNED_URL_EXPIRY_UPLOAD",
        3600,
        _integer(1, _SECONDS_OF_A_WEEK),
        "Seconds that an upload form is good for.",
    )
    s3_presigned_url_expiry_download: int = _setting(
        "S3_PRESIGNED_URL_EXPIRY_DOWNLOAD",
        900,
        _integer(1, _SECONDS_OF_A_WEEK),
        "Seconds that a download link is good for.",
    )
    dynamodb_table_name: str = _setting(
        "DYNAMODB_TABLE_NAME", "ImageMetadata", _names_table, "Table of the image records."
    )
    dynamodb_gsi_name: str = _setting(
        "DYNAMODB_GSI_NAME",
        "UserIdTimestampIndex",
        _names_table,
        "Its index of a user's images by time.",
    )
    allowed_content_types: tuple[str, ...] = _setting(
        "ALLOWED_CONTENT_TYPES",
        IMAGE_TYPES,
        _image_types,
        "Image types that may be uploaded, comma-separated.",
    )
    max_file_size: int = _setting(
        "MAX_FILE_SIZE",
        10_485_760,
        _integer(1, 5_368_709_120),
        "Largest image that may be uploaded, in bytes.",
    )
    max_image_pixels: int = _setting(
        "MAX_IMAGE_PIXELS",
        100_000_000,
        _integer(1, 268_435_456),
        "Most pixels, width times height, that an image may have.",
    )
    default_page_size: int = _setting(
        "DEFAULT_PAGE_SIZE",
        50,
        _integer(1, 1000),
        "Images on a page when the request does not say.",
    )
    max_page_size: int = _setting("MAX_PAGE_SIZE", 100, _integer(1, 1000), "Most images on a page.")
    throttle_rate_limit: int = _setting(
        "THROTTLE_RATE_LIMIT",
        1000,
        _integer(1, 1_000_000),
        "Requests a second that one server takes on, on average; its workers share them.",
    )
    throttle_burst_limit: int = _setting(
        "THROTTLE_BURST_LIMIT", 500, _integer(1, 1_000_000), "Requests that it takes on at once."
    )
    throttle_caller_rate_limit: int = _setting(
        "THROTTLE_CALLER_RATE_LIMIT",
        0,
        _integer(0, 1_000_000),
        "Requests a second of one verified caller, on average; 0 is half of THROTTLE_RATE_LIMIT.",
    )
    throttle_caller_burst_limit: int = _setting(
        "THROTTLE_CALLER_BURST_LIMIT",
        0,
        _integer(0, 1_000_000),
        "Requests of one verified caller at once; 0 is half of THROTTLE_BURST_LIMIT.",
    )
    daily_quota: int = _setting(
        "DAILY_QUOTA",
        10_000,
        _integer(0, 1_000_000_000_000),
        "Requests a day (UTC) for each API key that has no quota of its own; 0 is no limit.",
    )
    storage_quota_bytes: int = _setting(
        "STORAGE_QUOTA_BYTES",
        0,
        _integer(0, 1_000_000_000_000_000),
        "Bytes that the images of one user may take; 0 is no limit.",
    )
    storage_quota_images: int = _setting(
        "STORAGE_QUOTA_IMAGES",
        0,
        _integer(0, 1_000_000_000_000),
        "Images that one user may have; 0 is no limit.",
    )
    cors_allow_origins: tuple[str, ...] = _setting(
        "CORS_ALLOW_ORIGINS",
        ("*",),
        _origins,
        "Origins whose pages may call the API, comma-separated; * is any.",
    )
    auth_mode: Literal["claimed", "api_key", "jwt"] = _setting(
        "AUTH_MODE",
        "claimed",
        _auth_mode,
        "How callers are told: claimed (user_id is believed), api_key or jwt.",
    )
    api_keys_table_name: str = _setting(
        "API_KEYS_TABLE_NAME", "MontApiKeys", _names_table, "Table of the API keys' hashes."
    )
    usage_table_name: str = _setting(
        "USAGE_TABLE_NAME",
        "MontUsage",
        _names_table,
        "Table of what was used of daily and storage quotas.",
    )
    jwt_jwks: str = _setting(
        "JWT_JWKS",
        "",
        _jwks,
        "Public keys of whoever signs the tokens: the URL or the path of a JSON Web Key Set.",
    )
    jwt_issuer: str = _setting("JWT_ISSUER", "", str, "`iss` that a token has to have.")
    jwt_audience: str = _setting("JWT_AUDIENCE", "", str, "`aud` that a token has to have.")
    jwt_algorithms: tuple[str, ...] = _setting(
        "JWT_ALGORITHMS",
        ("RS256", "ES256", "EdDSA"),
        _jwt_algorithms,
        "Algorithms that a token may be signed with, comma-separated.",
    )
    jwt_leeway: int = _setting(
        "JWT_LEEWAY",
        60,
        _integer(0, 600),
        "Seconds by which the clocks of whoever signs tokens may differ.",
    )
    cursor_secret: str = _setting(
        "CURSOR_SECRET",
        "",
        str,
        "Seals next_token; the same on every replica. Empty: derived from the table's name, which "
        "protects against mistakes but not against those who know it.",
        secret=True,
    )
    events: Literal["off", "webhook", "eventbridge"] = _setting(
        "EVENTS",
        "off",
        _events,
        "Who is told what happened to images: off (nobody), webhook (WEBHOOK_URL, by the "
        "standalone server) or eventbridge (AWS's event bus, by a function). The same everywhere.",
    )
    events_table_name: str = _setting(
        "EVENTS_TABLE_NAME", "MontEvents", _names_table, "Table of events on their way."
    )
    webhook_url: str | None = _setting(
        "WEBHOOK_URL",
        None,
        _url,
        "Where this server sends events. Unset, it keeps them for one that is set.",
    )
    webhook_secret: tuple[bytes, ...] = _setting(
        "WEBHOOK_SECRET",
        (),
        secrets_of,
        "Signs webhooks: whsec_ and base64 (Standard Webhooks); two of them while you rotate.",
        secret=True,
    )
    imgproxy_url: str | None = _setting(
        "IMGPROXY_URL",
        None,
        _url,
        "imgproxy that makes the thumbnails; it reads the bucket as s3://.",
    )
    imgproxy_key: str = _setting(
        "IMGPROXY_KEY",
        "",
        _hexadecimal,
        "Its key, hexadecimal: signs the thumbnails' addresses.",
        secret=True,
    )
    imgproxy_salt: str = _setting(
        "IMGPROXY_SALT", "", _hexadecimal, "Its salt, hexadecimal.", secret=True
    )
    max_connections: int = _setting(
        "MAX_CONNECTIONS", 100, _integer(1, 10_000), "Open connections to each store at most."
    )
    workers: int = _setting("WORKERS", 1, _integer(1, 256), "Processes that serve, on one port.")
    max_client_connections: int = _setting(
        "MAX_CLIENT_CONNECTIONS",
        4096,
        _integer(1, 1_000_000),
        "Open connections of clients to one process at most; beyond, idle ones are closed.",
    )
    overload_delay_ms: int = _setting(
        "OVERLOAD_DELAY_MS",
        200,
        _integer(1, 60_000),
        "How much longer than in calm answers may take, in milliseconds, before a backlog counts "
        "as overload and requests are turned away.",
    )
    request_time_limit: int = _setting(
        "REQUEST_TIME_LIMIT",
        9,
        _integer(1, 900),
        "Seconds after which a request is answered with 503.",
    )
    shutdown_grace: int = _setting(
        "SHUTDOWN_GRACE",
        10,
        _integer(0, 600),
        "Seconds that requests under way get to finish when the server stops.",
    )

    @property
    def abandoned_after(self) -> timedelta:
        """The age at which no request is at work on a thing any more, wherever it was taken on."""
        return timedelta(seconds=self.request_time_limit) + _CLOCKS_AND_COLD_STARTS


def load_settings(environment: Mapping[str, str]) -> Settings:
    """The settings in this environment; an empty variable counts as unset.

    Raises SettingsInvalid with every problem at once.
    """
    values: dict[str, Any] = {}
    problems: list[str] = []
    for each in fields(Settings):
        name, parse = each.metadata["name"], each.metadata["parse"]
        text = environment.get(name, "").strip()
        if not text:
            continue
        try:
            values[each.name] = parse(text)
        except ValueError as error:
            shown = "" if each.metadata["secret"] else f" (it is {text!r})"
            problems.append(f"  {name} {error}{shown}")
    settings = Settings(**values)
    if settings.default_page_size > settings.max_page_size:
        problems.append("  DEFAULT_PAGE_SIZE must not be larger than MAX_PAGE_SIZE")
    if (settings.webhook_url is None) != (not environment.get("WEBHOOK_SECRET", "").strip()):
        problems.append("  WEBHOOK_URL and WEBHOOK_SECRET must be set together")
    if settings.webhook_url is not None and settings.events != "webhook":
        problems.append("  WEBHOOK_URL needs EVENTS=webhook")
    if settings.auth_mode == "jwt":
        problems += [
            f"  {name} must be set where AUTH_MODE is jwt"
            for name in ("JWT_JWKS", "JWT_ISSUER", "JWT_AUDIENCE")
            if not environment.get(name, "").strip()
        ]
    imgproxy = ("IMGPROXY_URL", "IMGPROXY_KEY", "IMGPROXY_SALT")
    absent = [name for name in imgproxy if not environment.get(name, "").strip()]
    if 0 < len(absent) < len(imgproxy):
        problems.append(f"  {' and '.join(absent)} must be set with the others of imgproxy")
    if problems:
        raise SettingsInvalid(problems)
    return settings
