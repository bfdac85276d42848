"""Every limit is told, the one that refuses says when to come back, and no other is charged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from lambda_bridge.observation import EmfObserver
from service.auth.callers import Caller
from service.dailyquota import DailyQuota
from service.endpoints import Call, Reply
from service.errors import StoreUnavailable, Unauthenticated
from service.exchange import ApiResponse
from service.limits import Limits
from service.metrics import PrometheusMetrics
from service.ports import RequestCounts
from service.ratelimit import CallerBuckets, TokenBucket
from service.settings import Settings
from service.storage.memory_usage import MemoryRequestCounts
from service.wiring import throttles
from tests.support.makers import Api, FakeClock, an_api, an_endpoint, document_of


class NamedIdentity:
    """Believes a header with the caller's name: a key where it begins with `key`, else a token."""

    async def identify(self, headers: Mapping[str, str]) -> Caller:
        name = headers.get("x-name")
        if name is None:
            raise Unauthenticated("ApiKey", "no name")
        key_id = name if name.startswith("key") else None
        return Caller(name, any_user=False, verified=True, key_id=key_id)

    async def check(self) -> None:
        pass


@dataclass
class Scene:
    """An API under limits of which each is as tight as a test says."""

    overall: int = 100
    each: int = 100
    day: int = 100
    counts: RequestCounts = field(default_factory=MemoryRequestCounts)
    clock: FakeClock = field(default_factory=FakeClock)
    metrics: PrometheusMetrics = field(default_factory=PrometheusMetrics)

    def api(self) -> Api:
        limits = Limits(
            TokenBucket(1, self.overall, self.clock),
            CallerBuckets(lambda: TokenBucket(1, self.each, self.clock, name="caller")),
            DailyQuota(
                self.counts,
                default=self.day,
                now=self.clock.now,
                monotonic=self.clock,
                on_failure=self.metrics.limiter_failed,
            ),
            [self.metrics],
        )
        return an_api(None, an_endpoint(ok), identity=NamedIdentity(), limits=limits)

    def counted(self, line: str) -> bool:
        return line in self.metrics.exposition().decode().splitlines()


async def ok(call: Call[Any, Any]) -> Reply:
    return Reply({})


async def ask(api: Api, name: str, times: int = 1) -> list[ApiResponse]:
    return [await api("GET", "/probe", headers={"x-name": name}) for _ in range(times)]


def statuses(answers: list[ApiResponse]) -> list[int]:
    return [answer.status for answer in answers]


async def test_every_limit_of_a_request_is_told() -> None:
    (answer,) = await ask(Scene(overall=9, each=5, day=7).api(), "key a")
    assert answer.headers["RateLimit-Policy"] == (
        '"burst";q=9;w=9, "caller";q=5;w=5, "daily";q=7;w=86400'
    )
    assert answer.headers["RateLimit"] == ('"burst";r=8;t=1, "caller";r=4;t=1, "daily";r=6;t=43200')


async def test_a_token_has_no_daily_quota() -> None:
    scene = Scene(day=2)
    answers = await ask(scene.api(), "token", 5)
    assert statuses(answers) == [200] * 5
    assert "daily" not in answers[0].headers["RateLimit"]
    assert '"caller"' in answers[0].headers["RateLimit"]


async def test_one_caller_cannot_take_what_is_for_all() -> None:
    scene = Scene(overall=10, each=5)
    api = scene.api()
    greedy = await ask(api, "key greedy", 50)
    assert statuses(greedy) == [200] * 5 + [429] * 45
    assert statuses(await ask(api, "key modest", 5)) == [200] * 5
    refused = greedy[-1]
    assert document_of(refused)["type"] == "urn:mont:problem:throttled"
    assert refused.headers["Retry-After"] == "1"
    assert refused.headers["RateLimit"] == '"burst";r=4;t=6, "caller";r=0;t=5'
    assert scene.counted('mont_limited_total{policy="caller"} 45.0')


async def test_nobody_is_looked_up_before_the_overall_limit() -> None:
    scene = Scene(overall=3)
    api = scene.api()
    assert statuses(await ask(api, "key a", 3)) == [200] * 3
    answers = [await api("GET", "/probe") for _ in range(2)]
    assert statuses(answers) == [429] * 2
    assert answers[-1].headers["RateLimit-Policy"] == '"burst";q=3;w=3'
    assert scene.counted('mont_limited_total{policy="burst"} 2.0')


async def test_who_shows_no_credentials_that_count_takes_nothing_from_who_does() -> None:
    api = Scene(overall=3).api()
    assert statuses([await api("GET", "/probe") for _ in range(50)]) == [401] * 50
    assert statuses(await ask(api, "key a", 4)) == [200] * 3 + [429]


async def test_what_the_daily_quota_refuses_is_charged_to_nothing_else() -> None:
    scene = Scene(overall=10, each=8, day=3)
    api = scene.api()
    answers = await ask(api, "key a", 20)
    assert statuses(answers) == [200] * 3 + [429] * 17
    refused = answers[-1]
    document = document_of(refused)
    assert (document["type"], document["title"]) == (
        "urn:mont:problem:quota-exceeded",
        "Quota exceeded",
    )
    assert refused.headers["Retry-After"] == "43200"
    assert refused.headers["RateLimit"] == (
        '"burst";r=6;t=4, "caller";r=4;t=4, "daily";r=0;t=43200'
    )
    assert statuses(await ask(api, "key b", 3)) == [200] * 3
    assert scene.counted('mont_limited_total{policy="daily"} 17.0')


async def test_what_a_callers_bucket_refuses_is_not_counted_for_the_day() -> None:
    scene = Scene(each=2, day=5)
    api = scene.api()
    assert statuses(await ask(api, "key a", 10)) == [200] * 2 + [429] * 8
    scene.clock.seconds += 100
    assert statuses(await ask(api, "key a", 2)) == [200] * 2
    scene.clock.seconds += 100
    answers = await ask(api, "key a", 2)
    assert statuses(answers) == [200, 429]
    assert document_of(answers[1])["type"] == "urn:mont:problem:quota-exceeded"


async def test_requests_pass_and_are_noticed_where_the_limiters_store_fails() -> None:
    class Down:
        async def add(self, key_id: str, day: str, number: int) -> int:
            raise StoreUnavailable("DynamoDB", "down")

    scene = Scene(day=1, counts=Down())
    answers = await ask(scene.api(), "key a", 3)
    assert statuses(answers) == [200] * 3
    assert "daily" not in answers[0].headers["RateLimit"]
    assert scene.counted("mont_limiter_failures_total 3.0")


@pytest.mark.parametrize("path", ["/livez", "/openapi.json"])
async def test_what_is_not_limited_counts_nowhere(path: str) -> None:
    scene = Scene(overall=1, each=1, day=1)
    api = scene.api()
    answers = [await api("GET", path, headers={"x-name": "key a"}) for _ in range(3)]
    assert statuses(answers) == [200] * 3
    assert "RateLimit" not in answers[0].headers


async def test_who_only_claims_to_be_somebody_has_no_limit_of_his_own() -> None:
    clock = FakeClock()
    callers = CallerBuckets(lambda: TokenBucket(1, 1, clock, name="caller"))
    api = an_api(None, an_endpoint(ok), limits=Limits(TokenBucket(1, 9, clock), callers))
    assert statuses(await ask(api, "ann", 3)) == [200] * 3
    assert len(callers) == 0


@pytest.mark.parametrize(
    ("changed", "workers", "overall", "caller"),
    [
        ({}, 1, '"burst";q=500;w=1', '"caller";q=250;w=1'),
        ({}, 4, '"burst";q=125;w=1', '"caller";q=62;w=1'),
        ({"throttle_rate_limit": 1, "throttle_burst_limit": 1}, 1, '"burst";q=1;w=1',
         '"caller";q=1;w=2'),
        ({"throttle_caller_rate_limit": 10, "throttle_caller_burst_limit": 40}, 2,
         '"burst";q=250;w=1', '"caller";q=20;w=4'),
    ],
)  # fmt: skip
def test_a_process_takes_its_part_of_what_the_settings_say(
    changed: dict[str, int], workers: int, overall: str, caller: str
) -> None:
    bucket, callers = throttles(Settings(**changed), FakeClock(), share=1 / workers)
    assert bucket.take().policy.header == overall
    assert callers.of("a").take().policy.header == caller


def test_lambda_counts_the_same_under_the_same_names(capsys: pytest.CaptureFixture[str]) -> None:
    observer = EmfObserver()
    observer.limited("daily")
    observer.limiter_failed()
    limited, failed = capsys.readouterr().out.splitlines()
    assert '"mont_limited_total":[1.0]' in limited
    assert '"policy":"daily"' in limited
    assert '"mont_limiter_failures_total":[1.0]' in failed
