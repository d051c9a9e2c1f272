from __future__ import annotations

from email import message_from_bytes, message_from_string

import pytest

from model.sources.mail import Writer, classify, is_auto_reply
from tests.imports import shared_data

ANSWER = "In-Reply-To: <1@ours.example>\n"


def writer(headers: str, body: str = "Hello", our_domains: tuple[str, ...] = ()) -> Writer:
    text = f"From: ada@customer.example\nTo: bo@ours.example\n{headers}\n{body}"
    return classify(message_from_string(text), our_domains).writer


@pytest.mark.parametrize(
    "headers",
    [
        "Auto-Submitted: auto-replied\n",
        "Auto-Submitted: auto-replied; owner-email=ada@customer.example\n",
        "X-Autoreply: yes\n",
        "Precedence: auto_reply\n",
        "Precedence: bulk\n" + ANSWER,
        "X-Auto-Response-Suppress: All\n" + ANSWER,
        "Return-Path: <>\n" + ANSWER,
        "X-Apple-Action: VACATION\n",
    ],
)
def test_headers_show_a_machine_that_answers(headers: str) -> None:
    assert writer(headers + "Subject: Re: Offer\n") == Writer.AUTO_REPLY


@pytest.mark.parametrize(
    "subject",
    [
        "Automatic reply: Offer",
        "Out of Office Re: Offer",
        "[EXTERNAL] Out of the office until Monday",
        "OOO: back on Monday",
        "Abwesenheitsnotiz: Angebot",
        "Automatische Antwort: Angebot",
        "R\u00e9ponse automatique : Offre",
        "Absence du bureau",
        "Respuesta autom\u00e1tica: Oferta",
        "Fuera de la oficina",
        "Risposta automatica: Offerta",
        "Resposta autom\u00e1tica: Proposta",
        "Automatisch antwoord: Offerte",
        "Autosvar: Offert",
        "Automatyczna odpowied\u017a: Oferta",
        "Автоответ: коммерческое предложение",
        "\u81ea\u52d5\u5fdc\u7b54: \u898b\u7a4d",
        "\u81ea\u52a8\u56de\u590d: \u62a5\u4ef7",
        "=?utf-8?q?R=C3=A9ponse_automatique?= : Offre",
    ],
)
def test_subjects_of_many_languages_show_a_machine_that_answers(subject: str) -> None:
    assert writer(f"Subject: {subject}\n") == Writer.AUTO_REPLY


@pytest.mark.parametrize(
    "subject",
    [
        "Re: Automatic reply: Offer",  # somebody answers the machine
        "Offer for an automatic reply system",
        "Absence of a purchase order",
        "Vacation rental portal: contract",
        "Leave it with me",
        "",
    ],
)
def test_a_subject_that_only_sounds_alike_is_a_persons(subject: str) -> None:
    assert writer(f"Subject: {subject}\n{ANSWER}") == Writer.HUMAN
    assert not is_auto_reply(subject)


def test_a_body_shows_a_machine_only_with_two_signs_and_in_its_own_words() -> None:
    away = "I am out of the office until Monday and will respond upon my return."
    assert writer("Subject: Hello\n", away) == Writer.AUTO_REPLY
    assert writer(
        "Subject: Hello\n", "I am out of the office on Friday. Let us sign on Monday!"
    ) == (Writer.HUMAN)
    assert writer("Subject: Hello\n", f"Agreed!\n\n> {away}") == Writer.HUMAN
    assert writer("Subject: Hello\n", "Agreed. " * 300 + away) == Writer.HUMAN


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ("List-Unsubscribe: <mailto:off@lists.example>\n", Writer.BULK),
        ("List-Id: <team.ours.example>\nPrecedence: list\n" + ANSWER, Writer.HUMAN),
        ("Precedence: bulk\n", Writer.BULK),
        ("Auto-Submitted: auto-generated\n", Writer.BULK),
        ("Auto-Submitted: no\n", Writer.HUMAN),
        ("X-Failed-Recipients: bo@ours.example\n", Writer.BOUNCE),
        ("Subject: Undeliverable: Offer\n", Writer.BOUNCE),
        (
            (
                "Content-Type: multipart/report; report-type=delivery-status; boundary=b\n"
                "Auto-Submitted: auto-replied\n"
            ),
            Writer.BOUNCE,
        ),
        (
            "Content-Type: multipart/report; report-type=disposition-notification; boundary=b\n",
            Writer.BULK,
        ),
        ("Subject: =?utf-8?q?=ff=fe?=\nX-Odd: \x00\n", Writer.HUMAN),
    ],
)
def test_lists_notices_and_bounces_are_told_from_answers(headers: str, expected: Writer) -> None:
    assert writer(headers) == expected


def test_what_we_write_is_ours_and_what_our_machines_write_is_nobodys() -> None:
    ours = ("Customer.example",)
    assert writer("Subject: Offer\n", our_domains=ours) == Writer.OURS
    assert writer("Auto-Submitted: auto-replied\n", our_domains=ours) == Writer.BULK


def test_the_reason_is_told() -> None:
    mail = message_from_string("From: ada@customer.example\nX-Autoreply: yes\n\nHello")
    assert classify(mail).reason == "X-Autoreply"


@pytest.mark.parametrize(
    ("folder", "expected", "count"),
    [("auto_replies", Writer.AUTO_REPLY, 6), ("human_replies", Writer.HUMAN, 12)],
)
def test_real_mails_are_told_apart(folder: str, expected: Writer, count: int) -> None:
    mails = sorted((shared_data() / "mail" / folder).glob("*.eml"))
    assert len(mails) == count
    for mail in mails:
        assert classify(message_from_bytes(mail.read_bytes())).writer == expected, mail.name
