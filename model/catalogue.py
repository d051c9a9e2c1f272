"""The catalogue: every feature that any company has, once.

What a company's own data adds (its activities and fields) is made by `model.features`.
"""

from __future__ import annotations

from functools import partial
from typing import Final

import numpy as np

from model import signals
from model.asof import AsOf
from model.events import DAY_US
from model.feature import Category, Computed, Count, Feature, NumberField, Rate, Since
from model.history import Floats
from model.signals import CONTACT, OUTREACH

WEEK_DAYS: Final = 7
MONDAY: Final = 4  # 1970-01-01 was a Thursday; day 4 was a Monday


def week_day(asof: AsOf) -> Floats:
    """Days since Monday 00:00 UTC, with the hour as a fraction."""
    return (signals.as_of_days(asof) - MONDAY) % WEEK_DAYS


def quarter_days_left(asof: AsOf) -> Floats:
    """Days to the end of the calendar quarter."""
    month = asof.as_of.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)
    end = ((month // 3 + 1) * 3).astype("datetime64[M]").astype("datetime64[us]").astype(np.int64)
    return (end - asof.as_of) / DAY_US


def year_day(asof: AsOf) -> Floats:
    """Days since 1 January."""
    year = asof.as_of.astype("datetime64[us]").astype("datetime64[Y]")
    return (asof.as_of - year.astype("datetime64[us]").astype(np.int64)) / DAY_US


def before_opening_days(asof: AsOf) -> Floats:
    """Days from the first event to the opening."""
    first = np.zeros(asof.size)
    first[asof.snap[::-1]] = asof.age[::-1] / DAY_US
    return first - asof.since_days[:, 0]


def last_event(asof: AsOf) -> Floats:
    """Code of the last thing that happened, of whatever kind."""
    last = asof.last.max(axis=1)
    codes = np.where(last >= 0, asof.code[last], -1) if asof.code.size else last
    return asof.vocabulary.category("last_event", codes, asof.vocabulary.code_names)


_NOT_CARRIED = "no source of the deal carries it"

CATALOGUE: Final[tuple[Feature, ...]] = (
    Feature(
        name="silence_days",
        unit="days",
        question="days since the last real customer contact",
        direction=-1,
        missing=_NOT_CARRIED,
        phrase="no real customer contact for {value} days",
        zero="customer contact today",
        term=Computed(compute=signals.silence_days),
    ),
    *(
        Feature(
            name=f"customer_contacts_{days}_days",
            unit="events",
            question=f"real customer contacts in {days} days",
            direction=1,
            missing=_NOT_CARRIED,
            phrase=f"{{value}} real customer contacts in {days} days",
            zero=f"no real customer contact in {days} days",
            one=f"1 real customer contact in {days} days",
            term=Count(codes=CONTACT, days=days),
        )
        for days in (14, 30, 90)
    ),
    Feature(
        name="customer_people_90_days",
        unit="people",
        question="different customer people in contact in 90 days",
        direction=1,
        missing=_NOT_CARRIED,
        phrase="{value} customer people in contact in 90 days",
        zero="no known customer person in contact in 90 days",
        one="1 customer person in contact in 90 days",
        term=Computed(compute=lambda asof: signals.customer_people(asof, 90)),
    ),
    Feature(
        name="unanswered_messages",
        unit="events",
        question="our messages since the last real customer contact",
        direction=-1,
        missing=_NOT_CARRIED,
        phrase="{value} of our messages unanswered",
        zero="no message of ours unanswered",
        one="1 of our messages unanswered",
        term=Computed(compute=lambda asof: signals.after_contact(asof, "message_sent")),
    ),
    Feature(
        name="our_silence_days",
        unit="days",
        question="days since our last contact",
        direction=0,
        missing="we never made contact, or " + _NOT_CARRIED,
        phrase="we last made contact {value} days ago",
        term=Since(codes=(*OUTREACH, "meeting_held")),
    ),
    Feature(
        name="auto_replies_since_contact",
        unit="events",
        question="auto-replies since the last real customer contact",
        direction=-1,
        missing=_NOT_CARRIED,
        phrase="{value} auto-replies since the last real customer contact",
        zero="no auto-reply since the last real customer contact",
        one="1 auto-reply since the last real customer contact",
        term=Computed(compute=lambda asof: signals.after_contact(asof, "auto_reply_received")),
    ),
    Feature(
        name="meetings_60_days",
        unit="events",
        question="meetings in 60 days",
        direction=1,
        missing=_NOT_CARRIED,
        phrase="{value} meetings in 60 days",
        zero="no meeting in 60 days",
        one="1 meeting in 60 days",
        term=Count(codes=("meeting_held",), days=60),
    ),
    Feature(
        name="onsite_meetings_90_days",
        unit="events",
        question="on-site meetings in 90 days",
        direction=1,
        missing=_NOT_CARRIED,
        phrase="{value} on-site meetings in 90 days",
        zero="no on-site meeting in 90 days",
        one="1 on-site meeting in 90 days",
        term=Computed(compute=lambda asof: signals.onsite_meetings(asof, 90)),
    ),
    Feature(
        name="milestones_overdue",
        unit="milestones",
        question="open milestones overdue",
        direction=-1,
        missing="no milestone is set",
        phrase="{value} milestones overdue",
        zero="no milestone overdue",
        one="1 milestone overdue",
        term=Computed(compute=lambda asof: asof.once(signals.milestones).overdue),
    ),
    Feature(
        name="milestone_overdue_days",
        unit="days",
        question="days the most overdue milestone is late",
        direction=-1,
        missing="no milestone is set",
        phrase="a milestone is {value} days overdue",
        zero="no milestone overdue",
        term=Computed(compute=lambda asof: asof.once(signals.milestones).overdue_days),
    ),
    Feature(
        name="milestone_slippage_days",
        unit="days",
        question="days that milestones slipped in all",
        direction=-1,
        missing="no milestone is set",
        phrase="milestones slipped by {value} days in all",
        zero="no milestone slipped",
        term=Computed(compute=lambda asof: asof.once(signals.milestones).slippage_days),
    ),
    Feature(
        name="milestones_reached_share",
        unit="share",
        question="share of milestones reached",
        direction=1,
        missing="no milestone is set",
        phrase="{value} of milestones reached",
        zero="no milestone reached",
        one="all milestones reached",
        term=Computed(compute=lambda asof: asof.once(signals.milestones).reached_share),
    ),
    Feature(
        name="milestones_open",
        unit="milestones",
        question="milestones still open",
        direction=0,
        missing="no milestone is set",
        phrase="{value} milestones still open",
        zero="no milestone open",
        one="1 milestone still open",
        term=Computed(compute=lambda asof: asof.once(signals.milestones).open),
    ),
    Feature(
        name="next_milestone_days",
        unit="days",
        question="days to the next due milestone",
        direction=0,
        missing="no milestone lies ahead",
        phrase="the next milestone is due in {value} days",
        term=Computed(compute=lambda asof: asof.once(signals.milestones).next_days),
    ),
    Feature(
        name="commercial_talks",
        unit="flag",
        question="commercial talks started",
        direction=1,
        missing=_NOT_CARRIED,
        phrase="commercial talks: {value}",
        zero="commercial talks not started",
        one="commercial talks started",
        term=Computed(compute=signals.talks_started),
    ),
    Feature(
        name="commercial_talks_days",
        unit="days",
        question="days since commercial talks started",
        direction=0,
        missing="they have not started",
        phrase="commercial talks started {value} days ago",
        term=Since(codes=("commercial_talks_started",)),
    ),
    Feature(
        name="no_talks_days_left",
        unit="days",
        question="days left to the close date without commercial talks",
        direction=0,
        missing="talks have started, or no close date is known",
        phrase="commercial talks not started with {value} days left",
        term=Computed(compute=signals.no_talks_days_left),
    ),
    Feature(
        name="technical_validation",
        unit="category",
        question="technical validation",
        direction=0,
        missing=_NOT_CARRIED,
        phrase="technical validation {value}",
        term=Computed(compute=signals.validation_state),
    ),
    Feature(
        name="technical_validation_days",
        unit="days",
        question="days since the last step of technical validation",
        direction=0,
        missing="it has not started",
        phrase="last step of technical validation {value} days ago",
        term=Since(codes=signals.VALIDATION),
    ),
    Feature(
        name="close_date_pushes",
        unit="events",
        question="times the close date was pushed",
        direction=-1,
        missing="no close date is known",
        phrase="the close date was pushed {value} times",
        zero="the close date was never pushed",
        one="the close date was pushed once",
        term=Computed(compute=lambda asof: asof.once(signals.close_date_pushes)[0]),
    ),
    Feature(
        name="close_date_pushed_days",
        unit="days",
        question="days the close date was pushed in all",
        direction=-1,
        missing="no close date is known",
        phrase="the close date was pushed by {value} days in all",
        zero="the close date was never pushed",
        term=Computed(compute=lambda asof: asof.once(signals.close_date_pushes)[1]),
    ),
    Feature(
        name="close_date_days",
        unit="days",
        question="days to the planned close date",
        direction=0,
        missing="no close date is known",
        phrase="{value} days to the planned close date",
        term=Computed(compute=signals.close_date_days),
    ),
    Feature(
        name="stage",
        unit="category",
        question="stage",
        direction=0,
        missing="no stage is known",
        phrase="stage {value}",
        term=Category(code="stage_changed"),
    ),
    Feature(
        name="stage_days",
        unit="days",
        question="days in the stage",
        direction=0,
        missing="no stage is known",
        phrase="{value} days in the stage",
        term=Since(codes=("stage_changed",)),
    ),
    Feature(
        name="stage_steps_back",
        unit="events",
        question="steps back to an earlier stage",
        direction=-1,
        missing="stages have no known order",
        phrase="{value} steps back to an earlier stage",
        zero="no step back to an earlier stage",
        one="1 step back to an earlier stage",
        term=Computed(compute=signals.stage_steps_back),
    ),
    Feature(
        name="deal_age_days",
        unit="days",
        question="days since the deal was opened",
        direction=0,
        missing="the opening is not known",
        phrase="opened {value} days ago",
        term=Since(codes=("deal_opened",)),
    ),
    Feature(
        name="before_opening_days",
        unit="days",
        question="days from the first event to the opening",
        direction=0,
        missing="the opening is not known",
        phrase="first heard of {value} days before the opening",
        zero="first heard of at the opening",
        term=Computed(compute=before_opening_days),
    ),
    Feature(
        name="reopened",
        unit="events",
        question="times the deal was reopened",
        direction=0,
        missing=_NOT_CARRIED,
        phrase="reopened {value} times",
        zero="never reopened",
        one="reopened once",
        term=Count(codes=("deal_reopened",)),
    ),
    Feature(
        name="amount",
        unit="amount",
        question="amount",
        direction=0,
        missing="no amount is known",
        phrase="amount {value}",
        term=NumberField(code="amount_changed"),
    ),
    Feature(
        name="amount_change",
        unit="share",
        question="change of the amount since the first",
        direction=0,
        missing="no amount is known",
        phrase="amount changed by {value}",
        zero="amount unchanged",
        term=Computed(compute=signals.amount_change),
    ),
    Feature(
        name="internal_update_days",
        unit="days",
        question="days since the last internal update",
        direction=-1,
        missing=_NOT_CARRIED,
        phrase="no internal update for {value} days",
        term=Computed(compute=signals.internal_update_days),
    ),
    Feature(
        name="internal_requests_unanswered",
        unit="events",
        question="internal requests for an update unanswered",
        direction=-1,
        missing=_NOT_CARRIED,
        phrase="{value} internal requests for an update unanswered",
        zero="no internal request unanswered",
        one="1 internal request for an update unanswered",
        term=Computed(compute=signals.requests_unanswered),
    ),
    Feature(
        name="escalations_30_days",
        unit="events",
        question="escalations in 30 days",
        direction=0,
        missing=_NOT_CARRIED,
        phrase="{value} escalations in 30 days",
        zero="no escalation in 30 days",
        one="1 escalation in 30 days",
        term=Count(codes=("escalation_raised",), days=30),
    ),
    Feature(
        name="next_step_days",
        unit="days",
        question="days since the next step was set",
        direction=-1,
        missing="no next step is known",
        phrase="the next step is {value} days old",
        term=Since(codes=("next_step_changed",)),
    ),
    Feature(
        name="competitor_named",
        unit="flag",
        question="a competitor named",
        direction=0,
        missing=_NOT_CARRIED,
        phrase="competitor named: {value}",
        zero="no competitor named",
        one="a competitor is named",
        term=Computed(compute=lambda asof: signals.flag(asof, "competitor_named")),
    ),
    Feature(
        name="forecast_category",
        unit="category",
        question="the rep's forecast category",
        direction=0,
        missing="none is known",
        phrase="forecast category {value}",
        term=Category(code="forecast_category_changed"),
    ),
    Feature(
        name="pipeline",
        unit="category",
        question="pipeline",
        direction=0,
        missing="none is known",
        phrase="pipeline {value}",
        term=Category(code="pipeline_changed"),
    ),
    Feature(
        name="currency",
        unit="category",
        question="currency",
        direction=0,
        missing="none is known",
        phrase="currency {value}",
        term=Category(code="currency_changed"),
    ),
    Feature(
        name="owner_win_rate",
        unit="share",
        question="the owner's win rate, smoothed",
        direction=1,
        missing="no owner is known, or nothing has closed yet",
        phrase="the owner wins {value}",
        term=Rate(who="owner"),
    ),
    Feature(
        name="account_win_rate",
        unit="share",
        question="the account's win rate, smoothed",
        direction=1,
        missing="no account is known, or nothing has closed yet",
        phrase="deals with the account are won {value}",
        term=Rate(who="account"),
    ),
    Feature(
        name="last_event",
        unit="category",
        question="what happened last",
        direction=0,
        missing="nothing is known",
        phrase="last event: {value}",
        term=Computed(compute=last_event),
    ),
    Feature(
        name="quiet_days",
        unit="days",
        question="days since anything happened",
        direction=0,
        missing="nothing is known",
        phrase="nothing happened for {value} days",
        term=Computed(compute=lambda asof: np.fmin.reduce(asof.since_days, axis=1)),
    ),
    *(
        Feature(
            name=f"events_{days}_days",
            unit="events",
            question=f"events of any kind in {days} days",
            direction=0,
            missing="nothing is known",
            phrase=f"{{value}} events in {days} days",
            zero=f"nothing happened in {days} days",
            one=f"1 event in {days} days",
            term=Computed(compute=partial(signals.events_within, window=i)),
        )
        for i, days in ((0, 7), (2, 30))
    ),
    *(
        Feature(
            name=f"{kind}_count",
            unit="events",
            question=f"{what} in all",
            direction=0,
            missing=_NOT_CARRIED,
            phrase=f"{{value}} {what}",
            zero=f"no {what}",
            term=Count(codes=(kind,)),
        )
        for kind, what in (
            ("customer_replied", "customer replies"),
            ("message_sent", "messages sent"),
            ("call_made", "calls made"),
            ("meeting_held", "meetings held"),
        )
    ),
    *(
        Feature(
            name=f"{kind}_days",
            unit="days",
            question=f"days since {what}",
            direction=0,
            missing="it never happened, or " + _NOT_CARRIED,
            phrase=f"{what} {{value}} days ago",
            term=Since(codes=(kind,)),
        )
        for kind, what in (
            ("customer_replied", "the last customer reply"),
            ("call_made", "the last call"),
        )
    ),
)

CALENDAR: Final[tuple[tuple[float, Feature], ...]] = tuple(
    (
        period,
        Feature(
            name=name,
            unit="days",
            question=question,
            direction=0,
            missing="never",
            phrase=phrase,
            term=Computed(compute=compute),
        ),
    )
    for period, name, question, phrase, compute in (
        (7.0, "week_day", "days into the week", "day {value} of the week", week_day),
        (
            91.3,
            "quarter_days_left",
            "days to the end of the quarter",
            "{value} days to the end of the quarter",
            quarter_days_left,
        ),
        (365.25, "year_day", "days into the year", "day {value} of the year", year_day),
    )
)
"""Calendar features with their period in days: learnable only from several periods."""
