"""A red flare is told once, by call-back and by mail, until it has been gone."""

from __future__ import annotations

import json
import ssl
import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from model.errors import RedflareError
from model.events import Event
from model.scorer import Scorer
from service.model_in_force import ModelInForce
from service.processing import Processor
from service.rescoring import Policy
from service.sending import Sending
from service.smtp import SmtpServer
from service.storage import outbox
from service.storage.database import Database
from service.writeback.destinations import read_destinations
from service.writeback.entry import RED_FLARE_RAISED, Refused, Retry, Sent
from service.writeback.mail import MailSender
from tests.service.deliveries import RECEIVER, SOURCE, delivery, give, work_all
from tests.service.requests import AS_OF
from tests.service.test_processing import known, news
from tests.service.writeback.mail_server import MailServer, mail_serving
from tests.service.writeback.servers import NOW, SCORE, entry, local_client, serving

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ALERT = {
    "deal_id": "9",
    "score": {**SCORE, "days": 90.0},
    "deal": {"owner": "7", "amount": 48000.0, "currency": "EUR", "close_date": "2026-03-31"},
    "red_flare": {
        "rule": "silent",
        "subject": "",
        "since": NOW.isoformat(),
        "phrase": "no real contact für 61 days",
    },
}
MAIL = """
[destinations.mail]
kind = "mail"
host = "mail.example"
port = PORT
security = "none"
from = "redflare@ours.example"
to = ["ann@ours.example", "bob@ours.example"]
"""
HOOK = f"""
[destinations.hook]
kind = "callback"
url = "URL/hook"
secrets = ["{SECRET}"]
tells = ["red_flare.raised"]
"""


def destinations(tmp_path: Path, text: str) -> Any:
    file = tmp_path / "destinations.toml"
    file.write_text(text, "utf-8")
    return read_destinations({"REDFLARE_DESTINATIONS": str(file)}, local_client())


def mailing(server: MailServer, **more: Any) -> MailSender:
    given: dict[str, Any] = {"security": "none", "guard": local_client().guard} | more
    return MailSender(
        server=SmtpServer(
            host="mail.example", port=server.port, sender="redflare@ours.example", **given
        ),
        recipients=("ann@ours.example", "bob@ours.example"),
    )


def test_a_flare_is_alerted_once_however_often_it_is_scored_and_again_when_it_was_gone(
    database: Database, scorer: Scorer, open_deals: list[list[Event]], tmp_path: Path
) -> None:
    deal = [event for event in open_deals[0] if known(event) <= AS_OF]
    deal_id = deal[0].deal_id
    now = [AS_OF + timedelta(days=2)]

    def milestone(index: int, kind: str, **values: Any) -> Event:
        told = news(deal_id, index, kind, name="pilot", **values)
        return replace(told, occurred_at=now[0], known_at=now[0])

    with serving() as hook, mail_serving(MailServer()) as mails:
        text = (MAIL + HOOK).replace("URL", hook.url).replace("PORT", str(mails.port))
        found = destinations(tmp_path, text)
        policy = Policy(
            destinations={name: each.sources for name, each in found.items()},
            tells={name: each.tells for name, each in found.items()},
        )
        models = ModelInForce(scorer=scorer)
        own = Processor(database, {SOURCE: RECEIVER}, models, policy, lambda: now[0])
        senders = {name: each.sender for name, each in found.items()}

        def days_go_by() -> list[str]:
            """Three scores later, the phrases of the mails sent since."""
            before = len(mails.got)
            for _ in range(3):
                now[0] += timedelta(days=1.5)
                own.tick()
            while Sending(database, senders, lambda: now[0]).send():
                pass
            told = [str(each["Subject"]) for each in mails.got[before:]]
            return [subject for subject in told if "'pilot'" in subject]

        due = (now[0] + timedelta(days=1)).date()
        gate = [
            milestone(0, "milestone_set", date=due),
            milestone(1, "must_hit_declared", text="ann"),
        ]
        give(database, delivery(*deal, *gate, key="a", at=now[0]))
        work_all(own)
        (subject,) = days_go_by()
        assert subject.startswith(f"Red flare: {deal_id}: ")
        assert days_go_by() == []

        give(database, delivery(milestone(2, "milestone_reached"), key="b", at=now[0]))
        work_all(own)
        assert days_go_by() == []
        due = (now[0] + timedelta(days=1)).date()
        again = [milestone(3, "milestone_set", date=due), milestone(4, "must_hit_declared")]
        give(database, delivery(*again, key="c", at=now[0]))
        work_all(own)
        assert len(days_go_by()) == 1

    called = [json.loads(got.body) for got in hook.got]
    assert {each["type"] for each in called} == {RED_FLARE_RAISED}
    assert len(called) == len(mails.got)
    ids = [got.headers["webhook-id"] for got in hook.got]
    assert len(set(ids)) == len(ids)
    with database.reading() as connection:
        assert outbox.counts(connection)["pending"] == 0


def test_what_stood_before_a_deal_was_loaded_is_no_alert(
    database: Database, scorer: Scorer, open_deals: list[list[Event]]
) -> None:
    from service.storage import deals, events, flares

    with database.writing() as connection:
        for deal in open_deals:
            told = [event for event in deal if known(event) <= AS_OF]
            events.append(connection, told, at=0)
            deals.open_for_now(connection, [deal[0].deal_id])
    policy = Policy(destinations={"crm": ()})
    now = [AS_OF + timedelta(days=2)]
    models = ModelInForce(scorer=scorer)
    own = Processor(database, {SOURCE: RECEIVER}, models, policy, lambda: now[0])

    def alerts() -> int:
        with database.reading() as connection:
            found = outbox.listed(connection, most=1_000)
        return sum(each.entry.kind == RED_FLARE_RAISED for each in found)

    assert own.tick() > 10
    with database.reading() as connection:
        assert any(flares.standing(connection, deal[0].deal_id) for deal in open_deals)
    assert alerts() == 0
    now[0] += timedelta(days=70)  # silent by then
    own.tick()
    assert alerts() > 0


def test_a_mail_says_why_and_is_the_same_at_every_attempt() -> None:
    with mail_serving(MailServer()) as server:
        own = mailing(server)
        told = entry(kind=RED_FLARE_RAISED, payload=ALERT, deal_id="9\r\nBcc: eve@x.example")
        for _ in range(2):
            assert own.send(told, NOW) == Sent(status=250)

    first, second = server.got
    assert first["Subject"] == "Red flare: 9  Bcc: eve@x.example: no real contact für 61 days"
    assert first["Bcc"] is None
    assert first["Message-ID"] == second["Message-ID"] == "<out_1@ours.example>"
    assert first["Date"].datetime == NOW
    assert server.recipients == [["ann@ours.example", "bob@ours.example"]] * 2
    words = first.get_content()
    assert "Owner 7, 48,000 EUR, planned to close on 2026-03-31." in words
    assert "0% to be won within 90 days." in words
    assert "-8 points: no real customer contact for 30 days" in words


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ({"EHLO": "421 busy", "HELO": "421 busy"}, Retry(reason="status 421: SMTPHeloError")),
        ({"MAIL": "451 later"}, Retry(reason="status 451: SMTPSenderRefused")),
        ({"MAIL": "550 never"}, Refused(reason="status 550: SMTPSenderRefused")),
        ({"RCPT": "550 nobody"}, Refused(reason="status 550: no recipient")),
        ({"RCPT": "450 full"}, Retry(reason="status 450: no recipient")),
        ({"RCPT TO:<BOB": "550 nobody"}, Sent(status=250)),
        ({"DATA": "554 no"}, Refused(reason="status 554: SMTPDataError")),
    ],
)
def test_a_server_s_answer_is_final_or_worth_another_attempt(
    answers: dict[str, str], outcome: Any
) -> None:
    with mail_serving(MailServer(answers=answers)) as server:
        assert mailing(server).send(entry(payload=ALERT), NOW) == outcome


def test_a_server_that_is_away_is_tried_again_and_a_private_one_never() -> None:
    with mail_serving(MailServer()) as server:
        pass
    assert mailing(server).send(entry(payload=ALERT), NOW) == Retry(
        reason="ConnectionRefusedError from mail.example"
    )
    closed = local_client("other.example").guard
    outcome = mailing(server, guard=closed, security="tls").send(entry(payload=ALERT), NOW)
    assert isinstance(outcome, Refused)
    assert "expected a public address" in outcome.reason


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A key, and a certificate of `mail.example` with it."""
    folder = tmp_path_factory.mktemp("tls")
    key, own = folder / "key.pem", folder / "own.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    names = ["-subj", "/CN=mail.example", "-addext", "subjectAltName=DNS:mail.example"]
    subprocess.run(
        [*command.split(), *names, "-keyout", key, "-out", own], check=True, capture_output=True
    )
    return key, own


def test_a_password_goes_over_tls_alone_to_whom_the_certificate_names(
    certificate: tuple[Path, Path],
) -> None:
    key, own = certificate
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(own, key)
    trusted = ssl.create_default_context(cafile=str(own))
    account = {"security": "starttls", "user": "redflare", "password": "hush"}
    with mail_serving(MailServer(tls=tls)) as server:
        known_by = mailing(server, context=trusted, **account)
        assert known_by.send(entry(payload=ALERT), NOW) == Sent(status=250)
        stranger = mailing(server, **account).send(entry(payload=ALERT), NOW)
        server.answers = {"AUTH": "535 wrong"}
        refused = known_by.send(entry(payload=ALERT), NOW)
    with mail_serving(MailServer()) as plain:
        bare = mailing(plain, context=trusted, **account).send(entry(payload=ALERT), NOW)

    assert (server.was_encrypted, server.logins) == ([True], ["\0redflare\0hush"])
    assert stranger == Retry(reason="SSLCertVerificationError from mail.example")
    assert refused == Retry(reason="status 535: SMTPAuthenticationError")
    assert bare == Retry(reason="SMTPNotSupportedError from mail.example")
    assert plain.got == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"none"', '"ssl"', "expected one of starttls, tls, none"),
        ("PORT", "0", "a whole number from 1 to 65535"),
        ('"redflare@ours.example"', '"redflare"', "an address such as"),
        ('"ann@ours.example"', '"ann@ours.example\\nBcc: eve@x.example"', "an address such as"),
        ('to = ["ann@ours.example", "bob@ours.example"]', "", "key to: expected addresses"),
        ('host = "mail.example"', 'host = "mail.example"\nuser = "a"', "keeps the password"),
    ],
)
def test_a_wrong_entry_of_a_mail_server_is_named(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    with pytest.raises(RedflareError, match=said):
        destinations(tmp_path, MAIL.replace(old, new).replace("PORT", "25"))


def test_what_a_call_back_cannot_be_told_is_named(tmp_path: Path) -> None:
    text = HOOK.replace("URL", "https://x.example").replace("red_flare.raised", "flares")
    with pytest.raises(RedflareError, match=r"some of score\.changed, red_flare\.raised"):
        destinations(tmp_path, text)
