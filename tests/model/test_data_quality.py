"""What is known of a deal, judged: each finding and each verdict has its case."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from model.asof import DealRows, Snapshot
from model.coverage import Coverage
from model.data_quality import EXPECTED, THIN, UNSCORABLE, DataQuality, data_quality
from model.events import KINDS, Event
from model.feeds import HOUR_US, Feed
from model.history import History
from model.vocabulary import Vocabulary
from tests.factories import date_of, day_us, deal_event

RHYTHM_DAYS = 20.0
EVERY_KIND = frozenset(KINDS)
SILENT_CRM = EVERY_KIND - {"customer_replied", "meeting_held"}
COMPLETE = [
    deal_event("deal_opened", 0),
    deal_event("stage_changed", 0, name="offer"),
    deal_event("stage_changed", 12, name="terms"),
    deal_event("amount_changed", 0, number=5.0),
    deal_event("close_date_changed", 0, date=date_of(200)),
    deal_event("customer_replied", 14),
]


def quality(
    events: list[Event],
    at: float = 15.0,
    *,
    kinds: frozenset[str] = EVERY_KIND,
    stopped_at: float | None = None,
    sources: tuple[str, ...] = ("crm",),
    mail: Feed | None = None,
) -> DataQuality:
    """The deal's quality `at` days, its CRM carrying `kinds` and stopping at `stopped_at` days."""
    heard = np.empty(0, dtype=np.int64)
    if stopped_at is not None:
        heard = day_us(stopped_at) - np.arange(400, dtype=np.int64)[::-1] * HOUR_US
    feeds = {source: Feed(kinds=kinds, heard=heard) for source in sources}
    if mail is not None:
        feeds["mail"] = mail
    history = History.from_events(events)
    rows = DealRows(history, Vocabulary().codes(history), 0)
    return data_quality(Snapshot(rows, day_us(at), Coverage(feeds, history.sources)), RHYTHM_DAYS)


def without(kind: str) -> list[Event]:
    return [event for event in COMPLETE if event.kind != kind]


CASES: dict[str, tuple[list[Event], dict[str, Any], list[str], str]] = {
    "all known": (COMPLETE, {}, [], "good"),
    "no source tells of contact": (
        without("customer_replied"),
        {"kinds": SILENT_CRM},
        ["no_contact_feed"],
        "thin",
    ),
    "the feed of contact stopped": (
        COMPLETE,
        {"at": 30, "stopped_at": 15},
        ["contact_feed_stopped"],
        "thin",
    ),
    "the whole record stopped": (
        COMPLETE,
        {"at": 60, "stopped_at": 15},
        ["record_stopped"],
        "unscorable",
    ),
    "one of two feeds stopped for long": (
        [*without("customer_replied"), deal_event("customer_replied", 14, source="mail")],
        {
            "at": 60,
            "kinds": SILENT_CRM,
            "mail": Feed(
                kinds=frozenset({"customer_replied"}),
                heard=day_us(14) - np.arange(400, dtype=np.int64)[::-1] * HOUR_US,
            ),
        },
        ["contact_feed_stopped"],
        "thin",
    ),
    "nothing but an opening": (COMPLETE[:1], {}, ["opening_only"], "thin"),
    "nothing but an opening, of a source never met": (
        COMPLETE[:1],
        {"sources": ("another crm",)},
        ["nothing_known"],
        "unscorable",
    ),
    "no stage": (without("stage_changed"), {}, ["no_stage"], "good"),
    "no amount": (without("amount_changed"), {}, ["no_amount"], "good"),
    "no close date": (without("close_date_changed"), {}, ["no_close_date"], "good"),
    "an amount that no source carries": (
        without("amount_changed"),
        {"kinds": EVERY_KIND - {"amount_changed"}},
        [],
        "good",
    ),
    "quiet while its feeds went on": (COMPLETE, {"at": 35}, ["quiet"], "good"),
    "not quiet yet": (COMPLETE, {"at": 33.9}, [], "good"),
    "its stage never changed": (
        [*without("stage_changed"), COMPLETE[1], deal_event("message_sent", 79)],
        {"at": 80},
        ["stage_never_changed"],
        "good",
    ),
    "its close date has passed": (
        [*COMPLETE, deal_event("close_date_changed", 3, date=date_of(10))],
        {},
        ["close_date_past"],
        "good",
    ),
    "its close date is today": (
        [*COMPLETE, deal_event("close_date_changed", 3, date=date_of(15))],
        {},
        [],
        "good",
    ),
    "a stage first told lately of an old deal": (
        [*without("stage_changed"), deal_event("stage_changed", 79, name="offer")],
        {"at": 80},
        [],
        "good",
    ),
    "an old fact recorded today": (
        [*COMPLETE, deal_event("message_sent", 20, known=79)],
        {"at": 80},
        [],
        "good",
    ),
    "one of two feeds of contact stopped": (
        COMPLETE,
        {
            "at": 30,
            "kinds": EVERY_KIND - {"meeting_held"},
            "mail": Feed(
                kinds=frozenset({"meeting_held"}),
                heard=day_us(14) - np.arange(400, dtype=np.int64)[::-1] * HOUR_US,
            ),
        },
        [],
        "good",
    ),
    "a gate that names no milestone": (
        [
            *COMPLETE,
            deal_event("milestone_set", 2, name="pilot", date=date_of(90)),
            deal_event("must_hit_declared", 3, name="Pilot"),
        ],
        {},
        ["gate_without_date"],
        "good",
    ),
    "a gated deal whose time zone is none": (
        [
            *COMPLETE,
            deal_event("milestone_set", 2, name="pilot", date=date_of(90)),
            deal_event("must_hit_declared", 3, name="pilot"),
            deal_event("field_changed", 3, name="time_zone", text="Europe/Pariss"),
        ],
        {},
        ["time_zone_unknown"],
        "good",
    ),
    "closed and opened again": (
        [*COMPLETE, deal_event("deal_lost", 5), deal_event("deal_reopened", 6)],
        {},
        ["reopened"],
        "good",
    ),
    "two such things together": (
        [*without("amount_changed"), deal_event("close_date_changed", 3, date=date_of(10))],
        {},
        ["no_amount", "close_date_past"],
        "thin",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_deal_is_judged_by_what_is_known_of_it(case: str) -> None:
    events, given, codes, verdict = CASES[case]

    found = quality(events, **given)

    assert ([finding.code for finding in found.findings], found.verdict) == (codes, verdict)
    assert all(finding.phrase for finding in found.findings)


def test_every_finding_has_its_case() -> None:
    named = {code for _, _, codes, _ in CASES.values() for code in codes}
    notes = {
        "quiet",
        "stage_never_changed",
        "close_date_past",
        "reopened",
        "time_zone_unknown",
        "gate_without_date",
    }

    assert named == UNSCORABLE | THIN | notes | {code for code, _ in EXPECTED.values()}


def test_a_stopped_feed_is_told_apart_from_a_quiet_deal() -> None:
    quiet = quality(COMPLETE, 40)
    stopped = quality(COMPLETE, 40, stopped_at=15)

    assert "while its feeds went on" in quiet.findings[0].phrase
    assert "the silence since is the feed's, not the customer's" in stopped.findings[0].phrase


def test_the_gravest_finding_comes_first() -> None:
    found = quality(
        [*COMPLETE, deal_event("close_date_changed", 3, date=date_of(10))], 60, stopped_at=15
    )

    assert [finding.code for finding in found.findings] == ["record_stopped", "close_date_past"]


def test_what_is_known_later_changes_no_verdict() -> None:
    later = [
        deal_event("deal_reopened", 3, known=16),
        deal_event("close_date_changed", 3, date=date_of(10), known=16),
    ]

    assert quality([*COMPLETE, *later]) == quality(COMPLETE)
