"""Data quality: how far what is known of a deal carries a score, and where it does not, why.

Each finding has a code. One of `UNSCORABLE` leaves the deal without a number; one of `THIN`, or
`NOTES_THAT_THIN` of the others, makes the score a thin one. A feed that stopped for everyone is
told apart from a deal that went quiet while its feeds went on.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from math import isnan
from typing import Final, Literal

from model.asof import Snapshot
from model.catalogue.contact import CONTACT
from model.events import DAY_US, EPOCH_DAY, KIND_CODES
from model.feature import days_in_words
from model.gates import find_gates, unknown_time_zone

Verdict = Literal["good", "thin", "unscorable"]

LONGEST_STOP_DAYS: Final = 30.0  # with every feed stopped for longer, nothing is known of today
UNMOVED_DAYS: Final = 60.0  # in one stage before that is worth a word
NOTES_THAT_THIN: Final = 2
UNSCORABLE: Final = frozenset({"nothing_known", "record_stopped"})
THIN: Final = frozenset({"no_contact_feed", "contact_feed_stopped", "opening_only"})
# What a deal should have, told by the events of a kind, where any of its sources carries them.
EXPECTED: Final = {
    "stage_changed": ("no_stage", "no stage is known"),
    "amount_changed": ("no_amount", "no amount is known"),
    "close_date_changed": ("no_close_date", "no close date is known"),
}
_OPENED: Final = KIND_CODES["deal_opened"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that is missing, stale or contradictory.

    Parameters
    ----------
    code
        For programs, as the table in the README lists them.
    phrase
        In words.
    """

    code: str
    phrase: str


@dataclass(frozen=True, kw_only=True, slots=True)
class DataQuality:
    """What is known of a deal, judged.

    Parameters
    ----------
    verdict
        ``good``, ``thin``, or ``unscorable``: then the deal has no number.
    findings
        Why, the gravest first.
    """

    verdict: Verdict
    findings: tuple[Finding, ...]


_GOOD: Final = DataQuality(verdict="good", findings=())


def data_quality(snapshot: Snapshot, rhythm_days: float | None = None) -> DataQuality:
    """Judge what is known of an open deal at a time.

    Parameters
    ----------
    snapshot
        The deal, with the coverage of its feeds.
    rhythm_days
        Within how many days most open deals have news (`training` measures it); None leaves
        quiet deals unnamed.
    """
    findings = [
        *_feed_findings(snapshot),
        *_missing(snapshot),
        *_stale(snapshot, rhythm_days),
        *_contradictory(snapshot),
    ]
    if not findings:
        return _GOOD
    codes = {finding.code for finding in findings}
    grave, notes = codes & (UNSCORABLE | THIN), codes - UNSCORABLE - THIN
    verdict: Verdict = "thin" if grave or len(notes) >= NOTES_THAT_THIN else "good"
    if codes & UNSCORABLE:
        verdict = "unscorable"
    findings.sort(key=lambda one: (one.code not in UNSCORABLE, one.code not in THIN))
    return DataQuality(verdict=verdict, findings=tuple(findings))


def _feed_findings(snapshot: Snapshot) -> list[Finding]:
    coverage = snapshot.coverage
    if coverage is None:
        return []
    stopped_days = coverage.stopped(snapshot) / DAY_US
    if stopped_days > LONGEST_STOP_DAYS:
        return [
            Finding(
                code="record_stopped",
                phrase=f"nothing was heard of any deal for {days_in_words(stopped_days)}: "
                "the record stopped, and what came of this deal is not known",
            )
        ]
    told = coverage.carried(snapshot).intersection(CONTACT)
    if not told:
        return [Finding(code="no_contact_feed", phrase="no source of it tells of customer contact")]
    # While one feed of contact runs, a silence may well be the customer's.
    contact_days = min(coverage.pause((kind,), snapshot) for kind in told) / DAY_US
    if contact_days > 0:
        return [
            Finding(
                code="contact_feed_stopped",
                phrase=f"what tells of customer contact stopped for every deal {contact_days:.0f} "
                "days ago: the silence since is the feed's, not the customer's",
            )
        ]
    return []


def _missing(snapshot: Snapshot) -> list[Finding]:
    coverage = snapshot.coverage
    if snapshot.by_code.keys() == {_OPENED}:
        if coverage is not None and not coverage.describes(snapshot):
            return [
                Finding(
                    code="nothing_known",
                    phrase="nothing is known of it but its opening, "
                    "told by a source that training never met",
                )
            ]
        return [Finding(code="opening_only", phrase="nothing is known of it but its opening")]
    carried = None if coverage is None else coverage.carried(snapshot)
    return [
        Finding(code=code, phrase=phrase)
        for kind, (code, phrase) in EXPECTED.items()
        if KIND_CODES[kind] not in snapshot.by_code and (carried is None or kind in carried)
    ]


def _stale(snapshot: Snapshot, rhythm_days: float | None) -> list[Finding]:
    findings = []
    last_days = _unheard_us(snapshot) / DAY_US
    if rhythm_days is not None and last_days > rhythm_days:
        findings.append(
            Finding(
                code="quiet",
                phrase=f"nothing was recorded of it for {days_in_words(last_days)} while its feeds "
                f"went on; most open deals have news within {rhythm_days:.0f}",
            )
        )
    stages = snapshot.of("stage_changed")
    since_days = snapshot.age_days[stages[0]] if stages else 0.0
    if len(stages) == 1 and since_days > UNMOVED_DAYS:
        findings.append(
            Finding(
                code="stage_never_changed",
                phrase=f"its stage never changed in {days_in_words(since_days)}",
            )
        )
    return findings


def _unheard_us(snapshot: Snapshot) -> int:
    """Microseconds since the last news of the deal, on the clock of the feed that told it."""
    deal, as_of = snapshot.deal, snapshot.as_of
    if not snapshot.rows:
        return 0
    clocks = None if snapshot.coverage is None else snapshot.coverage.clocks(as_of)
    if clocks is None:
        return as_of - max([deal.known[i] for i in snapshot.rows])
    return max(min([clocks[deal.source[i]] - deal.known[i] for i in snapshot.rows]), 0)


def _contradictory(snapshot: Snapshot) -> list[Finding]:
    findings = []
    dates = snapshot.of("close_date_changed")
    if dates:
        day = snapshot.deal.date[dates[-1]]
        over_days = snapshot.as_of / DAY_US - (day + 1)
        if not isnan(day) and over_days > 0:
            close_date = (EPOCH_DAY + timedelta(days=int(day))).isoformat()
            findings.append(
                Finding(
                    code="close_date_past",
                    phrase=f"its close date {close_date} has passed, and it is still open",
                )
            )
    zone = unknown_time_zone(snapshot)
    if zone is not None:
        findings.append(
            Finding(
                code="time_zone_unknown",
                phrase=f"its time zone {zone!r} is none, so its gates' days end in UTC",
            )
        )
    undated = sorted(
        gate.name for gate in snapshot.once(find_gates) if gate.state == "open" and gate.due is None
    )
    if undated:
        findings.append(
            Finding(
                code="gate_without_date",
                phrase=f"must-hit {undated[0]!r} names no milestone with a due date, so it can "
                "never be missed",
            )
        )
    if snapshot.of("deal_reopened"):
        findings.append(Finding(code="reopened", phrase="it was closed and opened again"))
    return findings
