"""Settings come from the environment, within bounds, or the start stops with every problem."""

from dataclasses import asdict, fields

import pytest

from service.settings import Settings, SettingsInvalid, load_settings

NAMES = [each.metadata["name"] for each in fields(Settings)]


def test_an_empty_environment_gives_the_documented_defaults() -> None:
    settings = load_settings({"PATH": "/bin"})
    assert settings == Settings()
    assert {
        name: value
        for name, value in asdict(settings).items()
        if name.startswith(("aws", "s3", "dynamodb", "throttle", "default", "max_page", "log"))
    } == {
        "aws_region": "us-east-1",
        "aws_endpoint_url": None,
        "s3_bucket_name": "mont-images",
        "s3_presigned_url_expiry_upload": 3600,
        "s3_presigned_url_expiry_download": 900,
        "s3_public_endpoint_url": None,
        "dynamodb_table_name": "ImageMetadata",
        "dynamodb_gsi_name": "UserIdTimestampIndex",
        "throttle_rate_limit": 1000,
        "throttle_burst_limit": 500,
        "throttle_caller_rate_limit": 0,
        "throttle_caller_burst_limit": 0,
        "default_page_size": 50,
        "max_page_size": 100,
        "log_level": "INFO",
    }
    assert (settings.max_file_size, settings.host, settings.port) == (10_485_760, "127.0.0.1", 8080)


def test_a_field_is_named_as_its_variable() -> None:
    assert [each.name.upper() for each in fields(Settings)] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_variable_counts_as_unset(name: str) -> None:
    assert load_settings({name: "  "}) == Settings()


GOOD = [
    ("HOST", "::1", "::1"),
    ("PORT", "0", 0),
    ("PORT", " 65535 ", 65535),
    ("LOG_LEVEL", "debug", "DEBUG"),
    ("AWS_ENDPOINT_URL", "http://localhost:4566/", "http://localhost:4566"),
    ("S3_PUBLIC_ENDPOINT_URL", "https://[::1]:9000", "https://[::1]:9000"),
    ("S3_BUCKET_NAME", "a.b-c", "a.b-c"),
    ("DYNAMODB_TABLE_NAME", "T_1.x", "T_1.x"),
    ("ALLOWED_CONTENT_TYPES", "image/PNG, image/gif,", ("image/png", "image/gif")),
    ("CORS_ALLOW_ORIGINS", "https://a.example, http://b:1", ("https://a.example", "http://b:1")),
    ("CURSOR_SECRET", "s3cr3t", "s3cr3t"),
    ("SHUTDOWN_GRACE", "0", 0),
    ("MAX_FILE_SIZE", "5368709120", 5_368_709_120),
    ("AUTH_MODE", "API_KEY", "api_key"),
    ("API_KEYS_TABLE_NAME", "Keys", "Keys"),
    ("USAGE_TABLE_NAME", "Usage", "Usage"),
    ("EVENTS", "EventBridge", "eventbridge"),
    ("EVENTS_TABLE_NAME", "Events", "Events"),
    ("JWT_JWKS", "https://issuer.example/keys?v=1", "https://issuer.example/keys?v=1"),
    ("JWT_JWKS", "http://127.0.0.1:8000/keys", "http://127.0.0.1:8000/keys"),
    ("JWT_JWKS", "/etc/mont/keys.json", "/etc/mont/keys.json"),
    ("JWT_ALGORITHMS", "ES256, Ed25519", ("ES256", "Ed25519")),
]


@pytest.mark.parametrize(("name", "text", "value"), GOOD)
def test_a_good_value_is_taken(name: str, text: str, value: object) -> None:
    assert getattr(load_settings({name: text}), name.lower()) == value


WHOLE = {
    "PORT": (0, 65_535),
    "EMBEDDED_PORT": (0, 65_535),
    "S3_PRESIGNED_URL_EXPIRY_UPLOAD": (1, 604_800),
    "S3_PRESIGNED_URL_EXPIRY_DOWNLOAD": (1, 604_800),
    "MAX_FILE_SIZE": (1, 5_368_709_120),
    "MAX_IMAGE_PIXELS": (1, 268_435_456),
    "MAX_PAGE_SIZE": (1, 1000),
    "DEFAULT_PAGE_SIZE": (1, 1000),
    "THROTTLE_RATE_LIMIT": (1, 1_000_000),
    "THROTTLE_BURST_LIMIT": (1, 1_000_000),
    "THROTTLE_CALLER_RATE_LIMIT": (0, 1_000_000),
    "THROTTLE_CALLER_BURST_LIMIT": (0, 1_000_000),
    "DAILY_QUOTA": (0, 10**12),
    "STORAGE_QUOTA_BYTES": (0, 10**15),
    "STORAGE_QUOTA_IMAGES": (0, 10**12),
    "MAX_CONNECTIONS": (1, 10_000),
    "WORKERS": (1, 256),
    "MAX_CLIENT_CONNECTIONS": (1, 1_000_000),
    "OVERLOAD_DELAY_MS": (1, 60_000),
    "REQUEST_TIME_LIMIT": (1, 900),
    "SHUTDOWN_GRACE": (0, 600),
    "JWT_LEEWAY": (0, 600),
}


def test_every_whole_number_has_bounds_that_are_tested() -> None:
    whole = {each.metadata["name"] for each in fields(Settings) if isinstance(each.default, int)}
    assert whole == set(WHOLE)


@pytest.mark.parametrize("name", WHOLE)
def test_a_number_keeps_to_its_bounds(name: str) -> None:
    lowest, highest = WHOLE[name]
    beside = {"DEFAULT_PAGE_SIZE": "1", "MAX_PAGE_SIZE": "1000"}
    for value in (lowest, highest):
        assert getattr(load_settings({**beside, name: str(value)}), name.lower()) == value
    for text in (str(lowest - 1), str(highest + 1), "1.5", "1e2", "ten", "0x10", "١", "1_0", "+5"):
        with pytest.raises(SettingsInvalid, match=f"{name} must be a whole number from {lowest}"):
            load_settings({**beside, name: text})


BAD = [
    ("HOST", "a b"),
    ("HOST", "http://x"),
    ("LOG_LEVEL", "LOUD"),
    ("AWS_REGION", "Mars North"),
    ("AWS_ENDPOINT_URL", "localhost:4566"),
    ("AWS_ENDPOINT_URL", "ftp://x"),
    ("AWS_ENDPOINT_URL", "http://"),
    ("AWS_ENDPOINT_URL", "http://[::1"),
    ("S3_PUBLIC_ENDPOINT_URL", "https://x?y=1"),
    ("S3_BUCKET_NAME", "No"),
    ("S3_BUCKET_NAME", "ab"),
    ("S3_BUCKET_NAME", "a" * 64),
    ("S3_BUCKET_NAME", "a/b"),
    ("DYNAMODB_TABLE_NAME", "a b c"),
    ("DYNAMODB_GSI_NAME", "ab"),
    ("ALLOWED_CONTENT_TYPES", "image/tiff"),
    ("ALLOWED_CONTENT_TYPES", ","),
    ("CORS_ALLOW_ORIGINS", "a.example"),
    ("CORS_ALLOW_ORIGINS", "https://a.example/"),
    ("AUTH_MODE", "none"),
    ("API_KEYS_TABLE_NAME", "a b"),
    ("USAGE_TABLE_NAME", "a b"),
    ("EVENTS", "on"),
    ("EVENTS_TABLE_NAME", "a b"),
    # Whoever is on the way could put keys of their own behind it.
    ("JWT_JWKS", "http://issuer.example/keys"),
    ("JWT_JWKS", "ftp://issuer.example/keys"),
    ("JWT_JWKS", "https:///keys"),
    ("JWT_ALGORITHMS", "none"),
    ("JWT_ALGORITHMS", "RS256,HS256"),
    ("JWT_ALGORITHMS", ","),
]


@pytest.mark.parametrize(("name", "text"), BAD)
def test_a_bad_value_is_named_and_shown(name: str, text: str) -> None:
    with pytest.raises(SettingsInvalid) as invalid:
        load_settings({name: text})
    (problem,) = invalid.value.problems
    assert problem.strip().startswith(f"{name} ")
    assert repr(text) in problem


def test_every_problem_is_told_at_once() -> None:
    bad = {"PORT": "x", "LOG_LEVEL": "LOUD", "S3_BUCKET_NAME": "No", "MAX_PAGE_SIZE": "0"}
    with pytest.raises(SettingsInvalid) as invalid:
        load_settings(bad)
    assert sorted(problem.split()[0] for problem in invalid.value.problems) == sorted(bad)
    for name in bad:
        assert name in str(invalid.value)


def test_a_page_is_no_larger_than_the_largest_unless_asked() -> None:
    with pytest.raises(SettingsInvalid, match="DEFAULT_PAGE_SIZE must not be larger"):
        load_settings({"MAX_PAGE_SIZE": "20"})
    assert load_settings({"MAX_PAGE_SIZE": "20", "DEFAULT_PAGE_SIZE": "20"}).max_page_size == 20


def test_a_mode_without_what_it_needs_names_all_of_it() -> None:
    with pytest.raises(SettingsInvalid) as invalid:
        load_settings({"AUTH_MODE": "jwt", "JWT_ISSUER": " "})
    assert [problem.strip() for problem in invalid.value.problems] == [
        f"{name} must be set where AUTH_MODE is jwt"
        for name in ("JWT_JWKS", "JWT_ISSUER", "JWT_AUDIENCE")
    ]
    given = {"JWT_JWKS": "keys.json", "JWT_ISSUER": "i", "JWT_AUDIENCE": "a"}
    assert load_settings({"AUTH_MODE": "jwt", **given}).auth_mode == "jwt"


def test_a_bad_key_set_is_told_once() -> None:
    bad = {"AUTH_MODE": "jwt", "JWT_JWKS": "ftp://x", "JWT_ISSUER": "i", "JWT_AUDIENCE": "a"}
    with pytest.raises(SettingsInvalid) as invalid:
        load_settings(bad)
    (problem,) = invalid.value.problems
    assert "JWT_JWKS must be a file or an https:// address" in problem
