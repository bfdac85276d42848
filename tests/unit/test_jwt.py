"""Tokens: one that our issuer signed for us, for now, and for a user gets in. Nothing else does."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest

from service.auth import jwks
from service.auth.callers import Caller
from service.auth.jwks import FileKeys, KeysUnreadable, SigningKeys, UrlKeys, source_of
from service.auth.jwt import CHALLENGE, JwtIdentity
from service.errors import StoreUnavailable, Unauthenticated
from service.settings import JWT_ALGORITHMS
from tests.support.issuer import (
    AUDIENCE,
    ISSUER,
    KINDS,
    claims,
    hmac_signed,
    key_set,
    plain,
    signer,
)
from tests.support.makers import FakeClock

OURS = signer("ours")
RSA = signer("rsa", "RS256")
THEIRS = signer("theirs")


@dataclass
class Published:
    """A source that the test changes, with the times of a URL."""

    body: bytes | None
    lifetime: float = 300.0
    floor: float = 30.0
    reads: int = 0

    async def read(self) -> bytes | None:
        self.reads += 1
        if self.body is None:
            raise KeysUnreadable("the issuer is down")
        return self.body


@dataclass
class Gate:
    """An identity with the issuer's keys, and a clock that the test moves."""

    source: Published = field(default_factory=lambda: Published(key_set(OURS, RSA)))
    algorithms: tuple[str, ...] = ("RS256", "ES256", "EdDSA")
    clock: FakeClock = field(default_factory=FakeClock)

    def __post_init__(self) -> None:
        self.keys = SigningKeys(self.source, self.clock)
        self.identity = JwtIdentity(
            self.keys,
            issuer=ISSUER,
            audience=AUDIENCE,
            algorithms=self.algorithms,
            leeway=60,
            now=self.clock.now,
        )

    def claims(self, user_id: object = "ann", **changes: object) -> dict[str, Any]:
        return claims(user_id, self.clock.now().timestamp(), **changes)

    async def enter(self, token: str, scheme: str = "Bearer") -> Caller:
        return await self.identity.identify({"authorization": f"{scheme} {token}"})

    async def refused(self, token: str) -> str:
        with pytest.raises(Unauthenticated) as refusal:
            await self.enter(token)
        assert refusal.value.challenge == CHALLENGE
        assert str(refusal.value) == "Credentials are missing or not valid."
        return refusal.value.reason


@pytest.mark.parametrize("algorithm", KINDS)
async def test_a_token_of_our_issuer_makes_its_subject_the_caller(algorithm: str) -> None:
    key = signer(f"of-{algorithm}", algorithm)
    gate = Gate(Published(key_set(key)), (algorithm,))
    for scheme in ("Bearer", "bearer", "BEARER"):
        assert await gate.enter(key.sign(gate.claims("ann")), scheme) == Caller("ann", False, True)


async def test_the_only_key_there_is_needs_no_name() -> None:
    gate = Gate(Published(key_set(OURS)))
    assert (await gate.enter(OURS.sign(gate.claims(), kid=None))).user_id == "ann"
    # Of several keys the token has to name one.
    assert await Gate().refused(OURS.sign(gate.claims(), kid=None))


@pytest.mark.parametrize("audience", [AUDIENCE, [AUDIENCE], ["other", AUDIENCE]])
async def test_we_may_be_one_of_several_audiences(audience: object) -> None:
    gate = Gate()
    assert (await gate.enter(OURS.sign(gate.claims(aud=audience)))).user_id == "ann"


BAD_CLAIMS: dict[str, dict[str, object]] = {
    "another issuer": {"iss": "https://evil.example"},
    "an issuer that begins alike": {"iss": ISSUER + "/x"},
    "a list of issuers": {"iss": [ISSUER]},
    "no issuer": {"iss": None},
    "another audience": {"aud": "other"},
    "other audiences": {"aud": ["other", AUDIENCE + "x"]},
    "no audience": {"aud": None},
    "an empty audience": {"aud": []},
    "an audience that is no text": {"aud": {"mont-images": 1}},
    "no expiry": {"exp": None},
    "an expiry that is text": {"exp": "9999999999"},
    "an expiry that is true": {"exp": True},
    "a beginning that is text": {"nbf": "0"},
    "no subject": {"sub": None},
    "an empty subject": {"sub": ""},
    "a subject that is a number": {"sub": 7},
    "a subject that is a list": {"sub": ["ann"]},
    "anyone": {"sub": "*"},
    "a path": {"sub": "ann/../bob"},
    "a dot": {"sub": "."},
    "two dots": {"sub": ".."},
    "a space": {"sub": "ann bob"},
    "a line end": {"sub": "ann\n"},
    "an umlaut": {"sub": "jürgen"},
    "a subject too long": {"sub": "a" * 129},
}


@pytest.mark.parametrize("changes", BAD_CLAIMS.values(), ids=BAD_CLAIMS)
async def test_claims_that_are_not_as_agreed_are_refused(changes: dict[str, object]) -> None:
    gate = Gate()
    assert (await gate.enter(OURS.sign(gate.claims()))).user_id == "ann"
    await gate.refused(OURS.sign(gate.claims(**changes)))


@pytest.mark.parametrize(("since", "good"), [(-61, False), (-60, False), (-59, True), (1, True)])
async def test_a_token_ends_when_it_says_and_the_clocks_may_differ(since: int, good: bool) -> None:
    gate = Gate()
    token = OURS.sign(gate.claims(exp=int(gate.clock.now().timestamp()) + since))
    if good:
        await gate.enter(token)
    else:
        await gate.refused(token)


@pytest.mark.parametrize("claim", ["nbf", "iat"])
async def test_a_token_of_the_future_has_to_wait_for_it(claim: str) -> None:
    gate = Gate()
    now = int(gate.clock.now().timestamp())
    await gate.enter(OURS.sign(gate.claims(**{claim: now + 60})))
    token = OURS.sign(gate.claims(**{claim: now + 61}))
    await gate.refused(token)
    gate.clock.seconds += 1
    await gate.enter(token)


def forged() -> dict[str, str]:
    """Tokens with perfect claims that our issuer has not signed."""
    gate = Gate()
    good = gate.claims()
    head, body, signature = OURS.sign(good).split(".")
    other_body = plain({}, gate.claims("bob")).split(".")[1]
    flipped = "AAAA" + signature[4:]
    named, shared = {"kid": "ours"}, {"alg": "HS256", "kid": "rsa"}
    listed = base64.urlsafe_b64encode(b"[1]").decode()
    nested = base64.urlsafe_b64encode(b"[" * 6000).decode()
    critical = {"alg": "ES256", "kid": "ours", "crit": ["odd"], "odd": 1}
    elsewhere = "https://evil.example/keys"
    return {
        "no algorithm": plain({"alg": "none"}, good),
        "no algorithm, our key": plain({"alg": "none", **named}, good),
        "no algorithm, shouted": plain({"alg": "NONE", **named}, good, b"x"),
        "no algorithm said": plain(named, good, b"x"),
        "algorithms": plain({"alg": ["ES256"], **named}, good, b"x"),
        "no signature": f"{head}.{body}.",
        "another signature": f"{head}.{body}.{flipped}",
        "another body": f"{head}.{other_body}.{signature}",
        "our public key as a secret": hmac_signed(shared, good, orjson.dumps(RSA.public)),
        "its PEM as a secret": hmac_signed(shared, good, RSA.key.as_pem(private=False)),
        "nothing as a secret": hmac_signed({"alg": "HS256"}, good, b""),
        "an algorithm that is not allowed": RSA.sign(good, alg="PS256"),
        "the name of another of our keys": OURS.sign(good, kid="rsa"),
        "a key of theirs": THEIRS.sign(good),
        "a key of theirs under our name": THEIRS.sign(good, kid="ours"),
        "a key along with it": THEIRS.sign(good, kid="ours", jwk=THEIRS.public),
        "a key along with it, unnamed": THEIRS.sign(good, kid=None, jwk=THEIRS.public),
        "an address of keys": THEIRS.sign(good, jku=elsewhere),
        "a certificate": THEIRS.sign(good, kid="ours", x5u=elsewhere, x5c=["MII="]),
        "a file for a key": THEIRS.sign(good, kid="../../dev/null"),
        "a number for a key": plain({"alg": "ES256", "kid": 7}, good, b"x"),
        "what must be understood": plain(critical, good, b"x" * 64),
        "two parts": f"{head}.{body}",
        "five parts, as if encrypted": f"{head}.{body}.{signature}.{body}.{signature}",
        "dots": "..",
        "no base64": "a.b.c",
        "a header that is a list": f"{listed}.{body}.{signature}",
        "a header that nests": f"{nested}.{body}.{signature}",
        "a header that is huge": plain({"alg": "ES256", "kid": "k" * 9000}, good, b"x"),
        "a token that is huge": OURS.sign(gate.claims(more="x" * 20_000)),
        "letters of elsewhere": f"{head}.é.{signature}",
        "claims that are a list": OURS.sign(b"[1]"),
        "claims that are no JSON": OURS.sign(b"{"),
        "claims that are nothing": OURS.sign(b""),
    }


FORGED = forged()


@pytest.mark.parametrize("token", FORGED.values(), ids=FORGED)
async def test_a_forged_token_is_refused(token: str) -> None:
    await Gate().refused(token)


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512", "none"])
def test_no_setting_allows_shared_secrets_or_no_signature(algorithm: str) -> None:
    assert algorithm not in JWT_ALGORITHMS


async def test_an_algorithm_that_is_not_allowed_is_refused_though_the_key_is_ours() -> None:
    gate = Gate(algorithms=("RS256",))
    assert await gate.refused(OURS.sign(gate.claims())) == "UnsupportedAlgorithmError"
    await gate.enter(RSA.sign(gate.claims()))


@pytest.mark.parametrize(
    "headers",
    [{}, {"authorization": ""}, {"authorization": "Bearer"}, {"authorization": "Bearer "},
     {"authorization": "Basic YW5uOmFubg=="}, {"x-api-key": "mont_" + "a" * 43}],
)  # fmt: skip
async def test_no_token_is_refused_like_a_bad_one(headers: dict[str, str]) -> None:
    with pytest.raises(Unauthenticated) as refusal:
        await Gate().identity.identify(headers)
    assert refusal.value.reason == "no bearer token"


async def test_a_refusal_never_quotes_the_token() -> None:
    gate = Gate()
    for token in (*FORGED.values(), OURS.sign(gate.claims("canary/9f2")), OURS.sign(b'{"canary')):
        reason = await gate.refused(token)
        assert "canary" not in reason
        assert all(part not in reason for part in token.split(".") if len(part) > 3)


# The keys.


async def test_a_new_key_is_found_as_soon_as_a_token_names_it() -> None:
    gate = Gate(Published(key_set(OURS)))
    await gate.enter(OURS.sign(gate.claims()))
    gate.source.body = key_set(OURS, THEIRS)
    gate.clock.seconds += 30
    await gate.enter(THEIRS.sign(gate.claims()))
    assert gate.source.reads == 2


async def test_a_flood_of_unknown_keys_reads_the_source_once_a_floor() -> None:
    gate = Gate()
    await gate.keys.load()
    for number in range(200):
        await gate.refused(THEIRS.sign(gate.claims(), kid=f"made-up-{number}"))
    assert gate.source.reads == 1
    gate.clock.seconds += 30
    for number in range(200):
        await gate.refused(THEIRS.sign(gate.claims(), kid=f"made-up-{number}"))
    assert gate.source.reads == 2
    # Nothing is read for what no key could make good.
    gate.clock.seconds += 30
    await gate.refused(plain({"alg": "none", "kid": "new"}, gate.claims()))
    await gate.refused(plain({"alg": "HS256", "kid": "new"}, gate.claims(), b"x"))
    assert gate.source.reads == 2


async def test_a_key_that_the_issuer_took_back_is_refused_before_long() -> None:
    gate = Gate(Published(key_set(OURS, RSA)))
    token = OURS.sign(gate.claims(exp=int(gate.clock.now().timestamp()) + 9_999))
    await gate.enter(token)
    gate.source.body = key_set(RSA)
    gate.clock.seconds += 299
    await gate.enter(token)
    gate.clock.seconds += 1
    assert await gate.refused(token) == "signed with an unknown key"


@pytest.mark.parametrize(
    "body", [None, b"", b"<html>", b"[]", b"{}", b'{"keys":{}}', b'{"keys":[]}', b" " * 300_000]
)
async def test_old_keys_stay_good_while_the_issuer_says_nothing_usable(
    body: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate()
    await gate.enter(OURS.sign(gate.claims()))
    gate.source.body = body
    for hour in range(1, 4):
        gate.clock.seconds += 3600
        for _ in range(3):
            await gate.enter(OURS.sign(gate.claims()))
        assert gate.source.reads == 1 + hour
    assert "no new signing keys" in caplog.text


async def test_without_any_key_nobody_is_refused_nor_let_in() -> None:
    gate = Gate(Published(None))
    with pytest.raises(KeysUnreadable, match="the issuer is down"):
        await gate.keys.load()
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            await gate.enter(OURS.sign(gate.claims()))
        with pytest.raises(StoreUnavailable):
            await gate.identity.check()
    assert gate.source.reads == 1
    gate.source.body = key_set(OURS)
    gate.clock.seconds += 5
    await gate.enter(OURS.sign(gate.claims()))
    await gate.identity.check()


async def test_keys_that_cannot_or_must_not_verify_are_left_out() -> None:
    weak = {"kty": "RSA", "kid": "weak", "n": "A" * 170, "e": "AQAB"}
    secret = {"kty": "oct", "kid": "secret", "k": "c2VjcmV0c2VjcmV0c2VjcmV0"}
    encrypts = {**signer("encrypts").public, "use": "enc"}
    broken = {"kty": "EC", "kid": "broken", "crv": "P-256", "x": "AA", "y": "AA"}
    odd: list[object] = [weak, secret, encrypts, broken, {"kid": "x"}, 7, None, {"kty": ["RSA"]}]
    keys = SigningKeys(Published(orjson.dumps({"keys": [*odd, OURS.public]})), FakeClock())
    assert await keys.find("ours") is not None
    for name in ("weak", "secret", "encrypts", "broken", "x"):
        assert await keys.find(name) is None


async def test_a_private_key_that_was_published_is_used_as_the_public_one() -> None:
    whole = orjson.dumps({"keys": [OURS.key.as_dict(private=True)]})
    key = await SigningKeys(Published(whole), FakeClock()).find("ours")
    assert key is not None
    assert not key.is_private


async def test_a_key_keeps_to_the_algorithm_that_it_is_published_with() -> None:
    token = RSA.sign(Gate().claims(), alg="PS256")
    for algorithm, good in (("PS256", True), ("RS256", False)):
        published = orjson.dumps({"keys": [{**RSA.public, "alg": algorithm}]})
        gate = Gate(Published(published), ("RS256", "PS256"))
        if good:
            await gate.enter(token)
        else:
            await gate.refused(token)


def test_a_place_with_a_scheme_is_a_url_and_any_other_a_file() -> None:
    assert isinstance(source_of("https://issuer.example/jwks"), UrlKeys)
    assert isinstance(source_of("keys.json"), FileKeys)


async def test_a_file_of_keys_is_read_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(key_set(OURS))
    clock = FakeClock()
    keys = SigningKeys(FileKeys(path), clock)
    assert await keys.find("ours") is not None
    path.with_suffix(".new").write_bytes(key_set(RSA))
    path.with_suffix(".new").rename(path)
    clock.seconds += FileKeys.lifetime
    assert await keys.find("ours") is None
    assert await keys.find("rsa") is not None
    path.unlink()
    clock.seconds += FileKeys.lifetime
    assert await keys.find("rsa") is not None


async def test_an_unchanged_file_is_not_read_again(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(key_set(OURS))
    source = FileKeys(path)
    assert await source.read() == key_set(OURS)
    assert await source.read() is None


async def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(KeysUnreadable, match=r"keys\.json: No such file"):
        await SigningKeys(FileKeys(tmp_path / "keys.json"), FakeClock()).load()


def test_an_issuer_that_hangs_does_not_take_the_request_with_it() -> None:
    assert jwks._FETCH_SECONDS < 9
