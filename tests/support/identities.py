"""Services that tell callers apart, behind each door, and what each kind of caller carries."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from service.model import ANYONE
from service.operations.keys import create_key, new_key, revoke_key
from service.settings import Settings
from service.storage.api_keys import DynamoDBApiKeys
from service.storage.clients import open_clients
from tests.support.api import new_user
from tests.support.issuer import AUDIENCE, ISSUER, claims, hmac_signed, key_set, plain, signer

Mode = Literal["api_key", "jwt"]
Headers = Mapping[str, str]


@dataclass(frozen=True)
class Kept:
    """A service's settings; who carries what. `bad` are refused, each for a reason of its own."""

    settings: Settings
    owner: str
    other: str
    good: Mapping[str, Headers]
    bad: Mapping[str, Headers]


@asynccontextmanager
async def with_api_keys(stores: Settings) -> AsyncIterator[Kept]:
    """A service that asks for API keys."""
    settings = replace(stores, auth_mode="api_key")
    owner, other = new_user(), new_user()

    def now() -> datetime:
        return datetime.now(UTC)

    async with open_clients(settings) as clients:
        keys = DynamoDBApiKeys(clients.dynamodb, settings.api_keys_table_name)
        good = {
            name: {"X-API-Key": (await create_key(keys, user, now=now))[0]}
            for name, user in (("owner", owner), ("other", other), ("service", ANYONE))
        }
        long_ago = now() - timedelta(days=2)
        expired, _ = await create_key(keys, owner, now=lambda: long_ago, days=1)
        revoked, kept = await create_key(keys, owner, now=now)
        await revoke_key(keys, kept.key_id, now=now)
    token = signer("theirs").sign(claims(owner))
    yield Kept(
        settings,
        owner,
        other,
        good,
        {
            "nothing": {},
            "an empty key": {"X-API-Key": ""},
            "a malformed key": {"X-API-Key": "secret"},
            "an unknown key": {"X-API-Key": new_key()},
            "an expired key": {"X-API-Key": expired},
            "a revoked key": {"X-API-Key": revoked},
            "the hash of a key": {"X-API-Key": kept.key_hash},
            "a key as a bearer token": {"Authorization": f"Bearer {good['owner']['X-API-Key']}"},
            "a token": {"Authorization": f"Bearer {token}"},
        },
    )


@asynccontextmanager
async def with_tokens(stores: Settings, folder: Path) -> AsyncIterator[Kept]:
    """A service that asks for tokens."""
    ours, theirs, path = signer("ours"), signer("theirs"), folder / "jwks.json"
    path.write_bytes(key_set(ours))
    settings = replace(
        stores, auth_mode="jwt", jwt_jwks=str(path), jwt_issuer=ISSUER, jwt_audience=AUDIENCE
    )
    owner, other = new_user(), new_user()

    def bearer(token: str) -> Headers:
        return {"Authorization": f"Bearer {token}"}

    good_for_long = int(time.time()) + 3600
    mine = claims(owner, exp=good_for_long)
    header = {"alg": "none", "kid": "ours"}
    secret = ours.key.as_pem(private=False)
    yield Kept(
        settings,
        owner,
        other,
        {
            "owner": bearer(ours.sign(mine)),
            "other": bearer(ours.sign(claims(other, exp=good_for_long))),
        },
        {
            "nothing": {},
            "an empty token": {"Authorization": "Bearer "},
            "a malformed token": bearer("secret"),
            "an expired token": bearer(ours.sign(claims(owner, time.time() - 3600))),
            "a token of the future": bearer(ours.sign(claims(owner, time.time() + 3600))),
            "a token of another issuer": bearer(ours.sign({**mine, "iss": "https://x.example"})),
            "a token for another audience": bearer(ours.sign({**mine, "aud": "other"})),
            "a token for nobody": bearer(ours.sign({**mine, "sub": "a/b"})),
            "a token for anyone": bearer(ours.sign({**mine, "sub": "*"})),
            "a token that someone else signed": bearer(theirs.sign(mine, kid="ours")),
            "a token that nobody signed": bearer(plain(header, mine)),
            "a token signed with a public key": bearer(
                hmac_signed({"alg": "HS256", "kid": "ours"}, mine, secret)
            ),
            "a basic login": {"Authorization": "Basic YW5uOmFubg=="},
            "a key": {"X-API-Key": new_key()},
        },
    )
