"""What is sent where, and what the answer means."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from model.errors import RedflareError
from service.webhooks.delivery import Request
from service.webhooks.signing import key_of
from service.webhooks.standard import check_standard
from service.writeback.callback import CallbackSender
from service.writeback.client import Answer, outcome_of
from service.writeback.destinations import read_destinations
from service.writeback.entry import Refused, Retry, Sender, Sent
from service.writeback.payload import VALUES
from service.writeback.schedule import DELAYS, LASTS, next_attempt
from tests.service.writeback.servers import (
    NOW,
    PAYLOAD,
    SCORE,
    Got,
    Server,
    entry,
    local_client,
    serving,
)

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_YW5vdGhlciBzZWNyZXQgb2YgMjQgYnl0"
GUID = "6d81597f-0f9f-e711-8122-000d3aa2331c"


def sender(tmp_path: Path, server: Server, text: str) -> Sender:
    """The one destination of a file."""
    file = tmp_path / "destinations.toml"
    file.write_text(text.replace("URL", server.url), "utf-8")
    given = {"REDFLARE_DESTINATIONS": str(file), "SECRET": "a secret long enough"}
    [destination] = read_destinations(given, local_client()).values()
    return destination.sender


def test_a_call_back_is_signed_by_each_secret_at_its_time(tmp_path: Path) -> None:
    with serving() as server:
        callback = sender(
            tmp_path,
            server,
            f'[destinations.own]\nkind = "callback"\nurl = "URL/hook?x=1"\n'
            f'secrets = ["{SECRET}", "{OTHER}"]',
        )
        later = NOW + timedelta(hours=5)
        assert callback.send(entry(), later) == Sent(status=200)

    [got] = server.got
    assert (got.method, got.path) == ("POST", "/hook?x=1")
    request = Request(method="POST", query="", headers=got.headers, body=got.body)
    for secret in (SECRET, OTHER):
        check_standard(request, (key_of(secret, "it"),), later)
    assert json.loads(got.body) == {
        "type": "score.changed",
        "timestamp": NOW.isoformat(),
        "data": {**PAYLOAD, "deal_id": "9"},
    }


def test_the_package_standardwebhooks_takes_our_call_back(monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return NOW.astimezone(tz)

    monkeypatch.setattr("standardwebhooks.webhooks.datetime", Clock)
    with serving() as server:
        own = CallbackSender(client=local_client(), url=server.url, keys=(key_of(SECRET, "it"),))
        own.send(entry(), NOW)

    got = server.got[0]
    assert Webhook(SECRET).verify(got.body, got.headers)["data"]["deal_id"] == "9"


HUBSPOT = """
[destinations.crm]
kind = "hubspot"
url = "URL"
secrets = [{ variable = "SECRET" }]
properties = { redflare = "probability_percent", redflare_why = "drivers", low = "low_percent" }
"""
SALESFORCE = """
[destinations.crm]
kind = "salesforce"
url = "URL"
client_id = "redflare"
secrets = [{ variable = "SECRET" }]
fields = { Redflare__c = "probability_percent", Redflare_Gates__c = "missed_gates" }
"""
WHY = "-8 points: no real customer contact for 30 days\n+2 points: a meeting onsite"


def test_hubspot_s_deal_gets_its_properties(tmp_path: Path) -> None:
    with serving() as server:
        assert sender(tmp_path, server, HUBSPOT).send(entry(), NOW) == Sent(status=200)

    [got] = server.got
    assert (got.method, got.path) == ("PATCH", "/crm/v3/objects/deals/9")
    assert got.headers["authorization"] == "Bearer a secret long enough"
    assert json.loads(got.body) == {
        "properties": {"redflare": "0", "redflare_why": WHY, "low": "19"}
    }


def as_salesforce(got: Got) -> tuple[int, dict[str, str], bytes]:
    if got.path == "/services/oauth2/token":
        return 200, {}, b'{"access_token": "00D!token", "expires_in": 3600}'
    return 204, {}, b""


def test_salesforce_s_opportunity_gets_its_fields_with_one_token_for_many(tmp_path: Path) -> None:
    with serving(as_salesforce) as server:
        opportunities = sender(tmp_path, server, SALESFORCE)
        for minutes in (0, 30, 90):
            at = NOW + timedelta(minutes=minutes)
            assert opportunities.send(entry(deal_id="006q000000HddohAAB"), at) == Sent(status=204)

    tokens = [got for got in server.got if got.path == "/services/oauth2/token"]
    assert len(tokens) == 2  # one an hour
    assert tokens[0].body == (
        b"grant_type=client_credentials&client_id=redflare&client_secret=a+secret+long+enough"
    )
    changed = [got for got in server.got if got not in tokens]
    path = "/services/data/v62.0/sobjects/Opportunity/006q000000HddohAAB"
    assert {(got.method, got.path) for got in changed} == {("PATCH", path)}
    assert json.loads(changed[0].body) == {
        "Redflare__c": 0,
        "Redflare_Gates__c": "security review",
    }
    assert changed[0].headers["authorization"] == "Bearer 00D!token"


def test_a_token_that_is_not_taken_is_fetched_anew(tmp_path: Path) -> None:
    with serving() as server:
        server.answer = lambda got: as_salesforce(got) if "token" in got.path else (401, {}, b"")
        opportunities = sender(tmp_path, server, SALESFORCE)
        for _ in range(2):
            assert isinstance(opportunities.send(entry(deal_id="0" * 15), NOW), Retry)

    assert [("token" in got.path) for got in server.got] == [True, False, True, False]


@pytest.mark.parametrize("answer", [(500, b""), (200, b"{"), (200, b"[]"), (200, b'{"a": 1}')])
def test_without_a_token_it_is_tried_again(tmp_path: Path, answer: tuple[int, bytes]) -> None:
    with serving(lambda _: (answer[0], {}, answer[1])) as server:
        outcome = sender(tmp_path, server, SALESFORCE).send(entry(deal_id="0" * 15), NOW)

    assert isinstance(outcome, Retry)
    assert "no token" in outcome.reason
    assert "a secret long enough" not in outcome.reason


def test_dynamics_gets_one_linked_row_an_opportunity_however_often_it_is_sent() -> None:
    from service.writeback.records import DynamicsScore, RecordSender
    from service.writeback.tokens import FixedToken

    with serving() as server:
        rows = RecordSender(
            client=local_client(),
            tokens=FixedToken(secret="t"),
            form=DynamicsScore(base_url=server.url),
        )
        score = {**SCORE, "gates": None, "probability": 0.62, "previous_probability": 0.5}
        for deal_id in (GUID, GUID.upper()):
            rows.send(entry(deal_id=deal_id, payload={"score": score}), NOW)

    assert rows.form.writes == {"msdyn_predictivescoreid"}, "told back, it is no fact of the deal"
    first, link, second, link_again = server.got
    assert first.path == second.path
    assert link.path == link_again.path == f"/api/data/v9.2/opportunities({GUID})"
    row = first.path.removeprefix("/api/data/v9.2")
    assert json.loads(link.body) == {"msdyn_PredictiveScoreId@odata.bind": row}
    assert first.path.startswith("/api/data/v9.2/msdyn_predictivescores(")
    body = json.loads(first.body)
    assert body["msdyn_entityid"] == GUID
    assert (body["msdyn_score"], body["msdyn_grade"], body["msdyn_scoretrend"]) == (62, 1, 0)
    assert body["msdyn_scorereasons"] == WHY


@pytest.mark.parametrize("deal_id", ["../contacts/1", "9/..", "", "9?x", "é", "006", "9" * 21])
def test_an_id_that_is_none_of_the_crm_s_goes_into_no_url(tmp_path: Path, deal_id: str) -> None:
    with serving() as server:
        for text in (HUBSPOT, SALESFORCE):
            if deal_id == "006" and text is HUBSPOT:
                continue
            outcome = sender(tmp_path, server, text).send(entry(deal_id=deal_id), NOW)
            assert isinstance(outcome, Refused)

    assert server.got == []


@pytest.mark.parametrize(
    ("status", "kind"),
    [(200, Sent), (204, Sent), (301, Refused), (400, Refused), (404, Refused), (410, Refused)]
    + [(status, Retry) for status in (401, 403, 408, 409, 425, 429, 500, 502, 503, 504)],
)
def test_an_answer_is_final_or_worth_another_attempt(
    tmp_path: Path, status: int, kind: type
) -> None:
    with serving(lambda _: (status, {}, b"why\x00not")) as server:
        outcome = sender(tmp_path, server, HUBSPOT).send(entry(), NOW)

    assert isinstance(outcome, kind)
    if status in (400, 404, 410):
        assert outcome.reason == f"status {status}: why not"


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("120", timedelta(seconds=120)),
        ("Mon, 02 Mar 2026 09:00:00 GMT", timedelta(minutes=30)),
        ("Mon, 02 Mar 2020 09:00:00 GMT", timedelta()),
        ("9999999", timedelta(days=1)),
        ("Fri, 31 Dec 9999 23:59:59 GMT", timedelta(days=1)),
        ("soon", None),
        ("-5", None),
        ("", None),
    ],
)
def test_a_destination_may_say_when_to_come_again(text: str, after: timedelta | None) -> None:
    outcome = outcome_of(Answer(status=503, headers={"retry-after": text}, body=b""), NOW)

    assert isinstance(outcome, Retry)
    assert outcome.after == after


def test_a_server_that_hangs_up_is_tried_again(tmp_path: Path) -> None:
    with serving() as server:
        hung_up = sender(tmp_path, server, HUBSPOT)
    outcome = hung_up.send(entry(), NOW)

    assert outcome == Retry(reason="ConnectError")


@given(
    attempts=st.integers(1, 20),
    passed=st.timedeltas(timedelta(), timedelta(days=4)),
    after=st.none() | st.timedeltas(timedelta(), timedelta(days=1)),
    entry_id=st.text(max_size=5),
)
def test_attempts_go_on_for_three_days_and_no_longer(
    attempts: int, passed: timedelta, after: timedelta | None, entry_id: str
) -> None:
    now = NOW + passed
    time = next_attempt(entry_id, attempts, NOW, now, after)

    assert time == next_attempt(entry_id, attempts, NOW, now, after)
    if time is None:
        wait = max(DELAYS[min(attempts, len(DELAYS)) - 1] * 1.1, after or timedelta())
        assert attempts > len(DELAYS) or passed + wait > LASTS
    else:
        assert now + (after or timedelta()) <= time <= NOW + LASTS
        assert time - now >= DELAYS[attempts - 1] * 0.9


def test_the_last_attempt_comes_near_the_end_of_three_days() -> None:
    time, attempts = NOW, 1
    while (following := next_attempt("out_1", attempts, NOW, time)) is not None:
        time, attempts = following, attempts + 1

    assert attempts in (len(DELAYS), len(DELAYS) + 1)
    assert timedelta(hours=45) < time - NOW <= LASTS


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('kind = "hubspot"', 'kind = "hub"', "expected one of callback, hubspot"),
        ('"probability_percent"', '"percent"', "key properties"),
        ('url = "URL"', 'url = "ftp://x"', "a URL of https"),
        ('url = "URL"', 'urls = "URL"', "did you mean url"),
        ('"SECRET"', '"NONE"', "in the variable NONE"),
    ],
)
def test_a_wrong_entry_of_a_destination_is_named(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    with pytest.raises(RedflareError, match=said):
        sender(tmp_path, Server(lambda _: (200, {}, b"")), HUBSPOT.replace(old, new))


def test_without_a_file_nothing_is_written_back() -> None:
    assert read_destinations({}) == {}


@pytest.mark.parametrize("name", list(VALUES))
def test_a_score_without_a_number_has_no_value_where_one_is_missing(name: str) -> None:
    empty = {"probability": None, "interval": None, "gates": None, "drivers": []}

    assert VALUES[name](empty) in (None, "")
    assert VALUES[name](SCORE) not in (None, "")


def test_an_alert_about_a_deal_without_a_score_leaves_its_record_alone(tmp_path: Path) -> None:
    alert = {"deal_id": "9", "rule": "silence", "score": None}
    with serving() as server:
        outcome = sender(tmp_path, server, HUBSPOT).send(entry(payload=alert), NOW)

    assert outcome == Sent(status=204)
    assert server.got == []
