"""Who asks: keys in headers, sessions in cookies, what they open, and how often they may ask."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any

import httpx
import pytest
from anyio import run
from fastapi import Depends, FastAPI, Request
from fastapi.responses import PlainTextResponse, Response
from limits import RateLimitItemPerMinute
from limits.strategies import SlidingWindowCounterRateLimiter

from model.scorer import Scorer
from service.access import Access, Guard, needs
from service.app import create_app
from service.limiting import FAILURES_A_MINUTE, Counts, Limiter
from service.session_cookie import COOKIE, SECURE_COOKIE
from service.storage import keys, sessions
from service.storage.database import Database
from service.storage.keys import Scope
from tests.service.requests import AS_OF
from tests.service.test_openapi import document

__all__ = ["document"]  # a fixture

Ask = Callable[..., httpx.Response]


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = AS_OF
        self.elapsed = 0.0

    def pass_by(self, **time: float) -> None:
        self.now += timedelta(**time)
        self.elapsed += timedelta(**time).total_seconds()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def key_of(database: Database) -> Callable[..., str]:
    def make(*scopes: Scope, owners: list[str] | None = None) -> str:
        with database.writing() as connection:
            return keys.make(
                connection, title="test", scopes=scopes or ("read",), owners=owners, at=1
            )

    return make


def guarded(guard: Guard, scorer: Scorer) -> FastAPI:
    """The service, with a page and what its login does."""
    wrapped: Any = create_app(scorer, guard=guard)
    app: FastAPI = wrapped.app

    @app.get("/page")
    async def page(access: Annotated[Access, Depends(needs("read", page=True))]) -> Response:
        return PlainTextResponse(access.caller)

    @app.post("/v1/change")
    async def change(access: Annotated[Access, Depends(needs("write"))]) -> Response:
        return PlainTextResponse(",".join(access.owners or ("all",)))

    @app.post("/login")
    async def login(request: Request) -> Response:
        key = (await request.body()).decode()
        return Response(headers={"set-cookie": await guard.sign_in(request, key)})

    @app.post("/logout")
    async def logout(request: Request) -> Response:
        return Response(headers={"set-cookie": await guard.sign_out(request)})

    return app


@pytest.fixture
def ask(database: Database, scorer: Scorer, clock: Clock) -> Ask:
    guard = Guard(database, Limiter(1_000), lambda: clock.now, elapsed=lambda: clock.elapsed)
    return asking(guarded(guard, scorer))


def asking(app: FastAPI) -> Ask:
    def ask(method: str, path: str, *, host: str = "localhost", **given: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
                return await client.request(method, path, **given)

        return run(send)

    return ask


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        bearer("rf_0123456789ab_nothing"),
        bearer(""),
        {"authorization": "Basic cmVwOnJlcA=="},
        {"authorization": "\xff"},
        {"cookie": f"{COOKIE}=made-up"},
        {"cookie": "=; ;\xff"},
    ],
)
def test_without_a_good_key_nothing_is_said(headers: dict[str, str], ask: Ask) -> None:
    raw = {name: value.encode("latin-1") for name, value in headers.items()}
    for path in ("/v1/model", "/v1/no-such-path"):
        answer = ask("GET", path, headers=raw)

        assert (answer.status_code, answer.json()["type"]) == (401, "urn:redflare:problem:no-key")
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["www-authenticate"] == 'Bearer realm="redflare"'
    assert ask("GET", "/healthz").status_code == 200


OPEN = {"/healthz", "/readyz", "/metrics", "/webhooks/{source}"}  # the last proves itself


def test_no_path_is_open_by_oversight(ask: Ask, document: dict[str, Any]) -> None:
    asked = 0
    for path, operations in document["paths"].items():
        for method in operations:
            if path in OPEN:
                continue
            answer = ask(method.upper(), path.format(deal_id="D-1", number=1))
            assert answer.status_code == 401, f"{method} {path}"
            asked += 1
    assert asked > 10


def test_a_key_opens_what_its_scope_says(ask: Ask, key_of: Callable[..., str]) -> None:
    reading, writing = key_of("read"), key_of("write", owners=["ann", "ben"])

    assert ask("GET", "/v1/model", headers=bearer(reading)).status_code == 200
    refused = ask("POST", "/v1/change", headers=bearer(reading))
    assert (refused.status_code, refused.json()["title"]) == (403, "The key does not open this")
    assert "make one with redflare keys create TITLE --scope write" in refused.json()["detail"]
    assert ask("POST", "/v1/change", headers=bearer(writing)).text == "ann,ben"


def test_a_revoked_key_opens_nothing_within_seconds(
    ask: Ask, key_of: Callable[..., str], database: Database, clock: Clock
) -> None:
    key = key_of()
    assert ask("GET", "/v1/model", headers=bearer(key)).status_code == 200
    with database.writing() as connection:
        keys.revoke(connection, keys.listed(connection)[0].key_id, at=2)
    clock.pass_by(seconds=6)

    assert ask("GET", "/v1/model", headers=bearer(key)).status_code == 401


def test_whoever_sees_the_deals_of_owners_sees_no_other_s() -> None:
    bound = Access(
        key=keys.ApiKey(
            key_id="rf_1", title="", scopes=("read",), owners=("ann",), made_at=1, revoked_at=None
        )
    )

    assert [bound.sees(owner) for owner in ("ann", "ben", None)] == [True, False, False]


def session(answer: httpx.Response) -> dict[str, str]:
    return {"cookie": answer.headers["set-cookie"].partition(";")[0]}


def test_a_session_opens_pages_until_it_ends(
    ask: Ask, key_of: Callable[..., str], clock: Clock
) -> None:
    sent_away = ask("GET", "/page?week=2026-W03&x=//y")
    assert (sent_away.status_code, sent_away.headers["location"]) == (
        303,
        "/login?next=/page%3Fweek%3D2026-W03%26x%3D//y",
    )
    signed_in = ask("POST", "/login", content=key_of())
    cookie = session(signed_in)
    assert "HttpOnly; SameSite=Lax" in signed_in.headers["set-cookie"]

    assert ask("GET", "/page", headers=cookie).text.startswith("rf_")
    assert ask("GET", "/v1/model", headers=cookie).status_code == 200
    clock.pass_by(hours=11)
    assert ask("GET", "/page", headers=cookie).status_code == 200
    clock.pass_by(hours=1)
    assert ask("GET", "/page", headers=cookie).status_code == 303


def test_signing_out_and_revoking_the_key_end_a_session(
    ask: Ask, key_of: Callable[..., str], database: Database, clock: Clock
) -> None:
    key = key_of()
    first, second = (session(ask("POST", "/login", content=key)) for _ in range(2))
    assert ask("GET", "/page", headers=first).status_code == 200

    gone = ask("POST", "/logout", headers=first)
    assert "Max-Age=0" in gone.headers["set-cookie"]
    assert ask("GET", "/page", headers=first).status_code == 303
    assert ask("GET", "/page", headers=second).status_code == 200
    with database.writing() as connection:
        keys.revoke(connection, keys.listed(connection)[0].key_id, at=2)
    clock.pass_by(seconds=6)
    assert ask("GET", "/page", headers=second).status_code == 303


def test_a_cookie_is_secure_but_on_this_machine(ask: Ask, key_of: Callable[..., str]) -> None:
    key = key_of()
    here = ask("POST", "/login", content=key)
    there = ask("POST", "/login", host="redflare.example.com", content=key)

    assert here.headers["set-cookie"].startswith(f"{COOKIE}=")
    assert there.headers["set-cookie"].startswith(f"{SECURE_COOKIE}=")
    assert there.headers["set-cookie"].endswith("; Secure")
    planted = {"cookie": session(there)["cookie"].replace(SECURE_COOKIE, COOKIE)}
    assert ask("GET", "/page", host="redflare.example.com", headers=planted).status_code == 303


@pytest.mark.parametrize(
    ("told", "status"),
    [
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": "https://pages.example.com"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"origin": "http://localhost"}, 200),
        ({}, 200),
    ],
)
def test_another_site_s_page_changes_nothing(
    told: dict[str, str], status: int, ask: Ask, key_of: Callable[..., str]
) -> None:
    key = key_of("write")
    cookie = session(ask("POST", "/login", content=key))

    assert ask("POST", "/v1/change", headers=cookie | told).status_code == status
    assert ask("POST", "/login", content=key, headers=told).status_code == status
    assert ask("POST", "/v1/change", headers=bearer(key) | told).status_code == 200


def test_sessions_whose_time_is_over_are_swept(database: Database, key_of: Any) -> None:
    key_of()
    with database.writing() as connection:
        key_id = keys.listed(connection)[0].key_id
        old = sessions.start(connection, key_id, at=1, until=5)
        sessions.start(connection, key_id, at=5, until=9)

        assert sessions.find(connection, old, at=4) is None
        assert len(connection.execute(sessions.SESSIONS.select()).all()) == 1


def test_too_many_requests_are_told_when_to_come_back(
    database: Database, scorer: Scorer, key_of: Callable[..., str]
) -> None:
    ask = asking(guarded(Guard(database, Limiter(3), lambda: AS_OF), scorer))
    busy, other = bearer(key_of()), bearer(key_of())
    statuses = [ask("GET", "/v1/model", headers=busy).status_code for _ in range(4)]
    refused = ask("GET", "/v1/model", headers=busy)

    assert statuses == [200, 200, 200, 429]
    first = ask("GET", "/v1/model", headers=bearer(key_of()))
    assert first.headers["ratelimit-policy"] == '"requests";q=3;w=60'
    assert first.headers["ratelimit"].startswith('"requests";r=2;t=')
    assert "ratelimit" not in ask("GET", "/v1/model").headers, "who has no key is not counted"
    assert refused.json()["type"] == "urn:redflare:problem:too-many"
    assert 1 <= int(refused.headers["retry-after"]) <= 120
    assert refused.headers["ratelimit-policy"] == '"requests";q=3;w=60'
    assert refused.headers["ratelimit"].startswith('"requests";r=0;t=')
    assert ask("GET", "/v1/model", headers=other).status_code == 200


def test_counting_starts_no_thread_for_each_request() -> None:
    counts = Counts()
    counts.timer.join()
    limiter = SlidingWindowCounterRateLimiter(counts)
    for caller in range(50):
        limiter.hit(RateLimitItemPerMinute(3), str(caller))
    first = counts.timer
    first.join()
    for caller in range(50):
        limiter.hit(RateLimitItemPerMinute(3), str(caller))

    assert counts.timer is first


def test_keys_are_not_tried_for_long(ask: Ask, key_of: Callable[..., str]) -> None:
    good = bearer(key_of())
    assert ask("GET", "/v1/model", headers=good).status_code == 200
    statuses = {
        ask("GET", "/v1/model", headers=bearer(f"rf_{number}_x")).status_code
        for number in range(FAILURES_A_MINUTE)
    }

    assert statuses == {401}
    assert ask("GET", "/v1/model", headers=bearer("rf_1_y")).status_code == 429
    assert ask("GET", "/v1/model", headers=good).status_code == 200, "it is known"


def test_another_s_wrong_keys_lock_no_good_key_out(ask: Ask, key_of: Callable[..., str]) -> None:
    for number in range(FAILURES_A_MINUTE + 1):
        ask("GET", "/v1/model", headers=bearer(f"rf_{number}_x"))
    key = key_of()

    assert ask("GET", "/v1/model", headers=bearer("rf_1_y")).status_code == 429
    assert ask("GET", "/v1/model", headers=bearer(key)).status_code == 200
    assert ask("POST", "/login", content=key).status_code == 200


def test_a_database_that_does_not_answer_is_no_wrong_key(
    database: Database, scorer: Scorer, key_of: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from service.storage.errors import StoreUnavailable

    def away(*_given: object) -> None:
        raise StoreUnavailable("gone")

    ask = asking(guarded(Guard(database, Limiter(9), lambda: AS_OF), scorer))
    key = key_of()
    monkeypatch.setattr("service.access.keys.verify", away)
    answer = ask("GET", "/v1/model", headers=bearer(key))

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


def test_without_a_database_everybody_is_answered(scorer: Scorer) -> None:
    wrapped: Any = create_app(scorer)

    assert asking(wrapped.app)("GET", "/v1/model").status_code == 200
