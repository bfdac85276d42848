"""Callers by their tokens: JSON Web Tokens (RFC 7519) that an issuer of ours has signed.

Which key and which algorithm verify a token is decided here, never by the token: it may name one
of our keys, and what else its header says of keys (jwk, jku, x5c, x5u) is not read.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime

import orjson
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwa import JWSAlgModel
from joserfc.jws import JWSRegistry, extract_compact, validate_compact
from joserfc.jwt import JWTClaimsRegistry

from service.auth.callers import Caller
from service.auth.jwks import SigningKeys
from service.errors import Unauthenticated
from service.naming import USER_ID_PATTERN

HEADER = "authorization"
CHALLENGE = 'Bearer realm="mont"'

_LONGEST_TOKEN = 16 * 1024
_STUMBLES = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)


class JwtIdentity:
    """Knows callers by `Authorization: Bearer`; `sub` is the user."""

    def __init__(
        self,
        keys: SigningKeys,
        *,
        issuer: str,
        audience: str,
        algorithms: Collection[str],
        leeway: int,
        now: Callable[[], datetime],
    ) -> None:
        """`leeway` in seconds, for clocks that differ."""
        self._keys = keys
        self._registry = _Algorithms(algorithms=frozenset(algorithms), strict_check_header=False)
        self._claims = JWTClaimsRegistry(
            now=lambda: int(now().timestamp()),
            leeway=leeway,
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": audience},
            exp={"essential": True},
            sub={"essential": True},
        )

    async def identify(self, headers: Mapping[str, str]) -> Caller:
        """See `Authenticator`."""
        token = _bearer(headers.get(HEADER, ""))
        try:
            return Caller(await self._subject(token), any_user=False, verified=True)
        except (JoseError, *_STUMBLES) as error:
            # Whatever a library stumbles over in a token is the token's fault. The name of the
            # error says enough; its text might quote the token.
            raise Unauthenticated(CHALLENGE, type(error).__name__) from error

    async def check(self) -> None:
        """See `Authenticator`."""
        await self._keys.check()

    async def _subject(self, token: bytes) -> str:
        """The user that a token is for. Raises JoseError and more for what is wrong with it."""
        signed = extract_compact(token, None, self._registry)
        header = signed.headers()
        algorithm, key_id = header["alg"], header.get("kid")
        if not isinstance(algorithm, str) or not (key_id is None or isinstance(key_id, str)):
            raise Unauthenticated(CHALLENGE, "malformed header")
        self._registry.get_alg(algorithm)  # before anything is fetched for it
        key = await self._keys.find(key_id)
        if key is None:
            raise Unauthenticated(CHALLENGE, "signed with an unknown key")
        if not validate_compact(signed, key, registry=self._registry):
            raise Unauthenticated(CHALLENGE, "wrong signature")
        claims = orjson.loads(signed.payload or b"")
        self._claims.validate(claims)
        subject = claims["sub"]
        if not USER_ID_PATTERN.fullmatch(subject):
            raise Unauthenticated(CHALLENGE, "sub is no user_id")
        return str(subject)


class _Algorithms(JWSRegistry):
    """The allow-list, and no other algorithm whatever a token says."""

    max_header_length = 8 * 1024  # some issuers send their certificates along
    max_payload_length = _LONGEST_TOKEN

    def get_alg(self, name: str) -> JWSAlgModel:
        """The algorithm of this name. Raises UnsupportedAlgorithmError.

        Unlike the library's own this does not warn of the name EdDSA, which RFC 9864 has replaced
        and issuers use.
        """
        if name not in (self.allowed or ()):
            raise UnsupportedAlgorithmError("not allowed")
        return self.algorithms[name]


def _bearer(authorization: str) -> bytes:
    """The token in the header. Raises Unauthenticated."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated(CHALLENGE, "no bearer token")
    if len(token) > _LONGEST_TOKEN or not token.isascii():
        raise Unauthenticated(CHALLENGE, "malformed token")
    return token.encode("ascii")
