"""An issuer of tokens, with keys of its own: what a company's identity provider does."""

from __future__ import annotations

import base64
import hmac
import time
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal

import orjson
from joserfc import jws
from joserfc.jwk import ECKey, JWKRegistry, OKPKey, RSAKey

ISSUER, AUDIENCE = "https://issuer.example/realms/mont", "mont-images"
KINDS: dict[str, tuple[Literal["RSA", "EC", "OKP"], int | str]] = {
    "RS256": ("RSA", 2048),
    "PS256": ("RSA", 2048),
    "ES256": ("EC", "P-256"),
    "EdDSA": ("OKP", "Ed25519"),
    "Ed25519": ("OKP", "Ed25519"),
}


class _AnyAlgorithm(jws.JWSRegistry):
    """Signs with whatever it is told to, wise or not."""

    def get_alg(self, name: str) -> Any:
        return self.algorithms[name]


class Signer:
    """One of the issuer's keys."""

    def __init__(self, key_id: str, algorithm: str = "ES256") -> None:
        kind, size = KINDS[algorithm]
        self.key_id, self.algorithm = key_id, algorithm
        made = JWKRegistry.generate_key(kind, size, {"kid": key_id})
        assert isinstance(made, RSAKey | ECKey | OKPKey)
        self.key = made

    @property
    def public(self) -> dict[str, Any]:
        """As the issuer publishes it."""
        return dict(self.key.as_dict(private=False))

    def sign(self, claims: Mapping[str, Any] | bytes, *, key: Any = None, **header: object) -> str:
        """A token of these claims; `header` over the usual one, None to leave a member out."""
        members = {"alg": self.algorithm, "kid": self.key_id, "typ": "JWT", **header}
        body = claims if isinstance(claims, bytes) else orjson.dumps(dict(claims))
        return jws.serialize_compact(
            {name: value for name, value in members.items() if value is not None},
            body,
            self.key if key is None else key,
            registry=_AnyAlgorithm(strict_check_header=False),
        )


@cache
def signer(key_id: str, algorithm: str = "ES256") -> Signer:
    """The same key for the same name: RSA keys take a while to make."""
    return Signer(key_id, algorithm)


def key_set(*signers: Signer) -> bytes:
    """What the issuer publishes."""
    return orjson.dumps({"keys": [each.public for each in signers]})


def claims(user_id: object, now: float | None = None, **changes: object) -> dict[str, Any]:
    """Claims that are good for five minutes; None leaves one out."""
    moment = int(time.time() if now is None else now)
    usual = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": user_id,
        "iat": moment,
        "exp": moment + 300,
        **changes,
    }
    return {name: value for name, value in usual.items() if value is not None}


def plain(header: Mapping[str, object], body: Mapping[str, object], signature: bytes = b"") -> str:
    """A token put together by hand."""

    def part(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    return f"{part(orjson.dumps(header))}.{part(orjson.dumps(body))}.{part(signature)}"


def hmac_signed(header: Mapping[str, object], body: Mapping[str, object], secret: bytes) -> str:
    """A token signed with a shared secret, by hand: libraries refuse public keys as secrets."""
    unsigned = plain(header, body).rpartition(".")[0]
    return plain(header, body, hmac.digest(secret, unsigned.encode(), "sha256"))
