"""Every feature a second time: one deal, plain loops over its events, no arrays.

This is written from what each feature means, not from the code that computes it, and is compared
with that code over random histories.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import pairwise

from model.events import DAY_US, EPOCH_DAY, KINDS, Event, from_microseconds, microseconds
from model.feeds import FEWEST_HEARD, MISSED, STOPPED_AFTER_DAYS, Feed
from model.rates import PRIOR
from model.vocabulary import OTHER, Vocabulary

Value = float | None
CONTACT = ("customer_replied", "meeting_held")
TALKS = ("commercial_talks_started", "commercial_talks_absent")
VALIDATION = (
    "technical_validation_started",
    "technical_validation_passed",
    "technical_validation_failed",
)
CLOSINGS = ("deal_won", "deal_lost")


def known_at(event: Event) -> int:
    assert event.known_at is not None
    return microseconds(event.known_at)


def in_order(events: Sequence[Event]) -> list[Event]:
    """Each event once, in the order in which things happened: a reopening first in its moment."""
    unique = {(event.source, event.source_id): event for event in events}
    return sorted(
        unique.values(),
        key=lambda e: (
            *(e.occurred_at, known_at(e), e.kind != "deal_reopened", e.source, e.source_id),
        ),
    )


def days_of(day: date) -> int:
    return (day - EPOCH_DAY).days


def number_of(event: Event | None) -> Value:
    return None if event is None else event.number


def name_of(event: Event | None) -> str | None:
    return None if event is None else event.name


@dataclass
class Oracle:
    """What was known of one deal at a time, with the features as methods' answers."""

    events: list[Event]  # of this deal, all
    as_of: int
    vocabulary: Vocabulary
    feeds: Mapping[str, Feed] | None = None
    others: Sequence[Sequence[Event]] | None = None  # the other deals' events; None: no rates
    counted_before: int | None = None  # closings count if known before this; None: up to as_of

    def __post_init__(self) -> None:
        self.seen = [e for e in in_order(self.events) if known_at(e) <= self.as_of]
        self.pauses = {source: self.stopped_for(source) for source in self.feeds or ()}
        self.speaks = [] if self.feeds is None else self.speaking()
        self.told = {kind for source in self.speaks for kind in self.kinds_of(source)}

    # What the sources carry, and whether they run.

    def kinds_of(self, source: str) -> set[str]:
        assert self.feeds is not None
        if source in self.feeds:
            feed = self.feeds[source]
            return {k for k in feed.kinds if k not in feed.since or feed.since[k] <= self.as_of}
        anywhere = {kind for feed in self.feeds.values() for kind in feed.kinds}
        return anywhere or set(KINDS)

    def speaking(self) -> list[str]:
        """The sources that speak for this deal: its own, and those that open no deals."""
        assert self.feeds is not None
        sources = {e.source for e in self.seen}
        for source, feed in self.feeds.items():
            begun = len(feed.heard) == 0 or int(feed.heard[0]) <= self.as_of
            if "deal_opened" not in self.kinds_of(source) and begun:
                sources.add(source)
        return sorted(sources)

    def carried(self, *kinds: str) -> bool:
        if self.feeds is None:
            return True
        return bool(self.told & set(kinds))

    def stopped_for(self, source: str) -> int:
        """Microseconds since the source was last heard, if by then it had stopped; else 0."""
        assert self.feeds is not None
        heard = [int(h) for h in self.feeds[source].heard if h <= self.as_of]
        if len(heard) < FEWEST_HEARD:
            return 0
        quiet = self.as_of - heard[-1]
        usual = (heard[-1] - heard[0]) / (len(heard) - 1)
        if quiet <= STOPPED_AFTER_DAYS * DAY_US or quiet <= MISSED * usual:
            return 0
        return quiet

    def stopped_for_kind(self, kind: str) -> int:
        """Until when nobody spoke who could have told of this kind."""
        if self.feeds is None:
            return 0
        sources = [s for s in self.speaks if kind in self.kinds_of(s)]
        return min((self.pauses.get(s, 0) for s in sources), default=0)

    def age(self, event: Event) -> int:
        passed = self.as_of - microseconds(event.occurred_at)
        return max(passed - self.pauses.get(event.source, 0), 0)

    # The few questions that features ask.

    def of(self, *kinds: str) -> list[Event]:
        return [e for e in self.seen if e.kind in kinds]

    def last(self, *kinds: str) -> Event | None:
        found = self.of(*kinds)
        return found[-1] if found else None

    def since(self, *kinds: str) -> Value:
        """Days since the latest; each kind's latest is the last that happened of it."""
        ages = [self.age(last) for kind in kinds if (last := self.last(kind)) is not None]
        return min(ages) / DAY_US if ages else None

    def count(self, kinds: Sequence[str], days: float | None = None) -> Value:
        if not self.carried(*kinds):
            return None
        return float(sum(1 for e in self.of(*kinds) if days is None or self.age(e) < days * DAY_US))

    def since_or_opening(self, *kinds: str) -> Value:
        """Days since the latest, or since the opening; missing if nobody could tell."""
        if not self.carried(*kinds):
            return None
        days = self.since(*kinds)
        opened = self.last("deal_opened")
        if days is not None or opened is None:
            return days
        passed = self.as_of - microseconds(opened.occurred_at)
        return max(passed - max(self.stopped_for_kind(kind) for kind in kinds), 0) / DAY_US

    def count_after(self, kind: str, *since: str) -> Value:
        if not self.carried(kind):
            return None
        count = 0.0
        for event in self.seen:
            if event.kind in since:
                count = 0.0
            elif event.kind == kind:
                count += 1
        return count

    def category(self, feature: str, value: str | None) -> Value:
        if value is None:
            return None
        values = self.vocabulary.categories[feature]
        is_crowded = feature in self.vocabulary.crowded and value not in values
        if value in self.vocabulary.rare.get(feature, ()) or is_crowded:
            value = OTHER
        return float(values.index(value)) if value in values else -1.0

    # Dates, amounts, stages.

    def close_date_days(self) -> Value:
        last = self.last("close_date_changed")
        if last is None or last.date is None:
            return None
        return ((days_of(last.date) + 1) * DAY_US - self.as_of) / DAY_US

    def pushes(self) -> tuple[Value, Value]:
        dates = [days_of(e.date) for e in self.of("close_date_changed") if e.date is not None]
        if not dates:
            return None, None
        later = [b - a for a, b in pairwise(dates) if b > a]
        return float(len(later)), float(sum(later))

    def steps_back(self) -> Value:
        orders = [e.number for e in self.of("stage_changed")]
        if not orders or orders[-1] is None:
            return None
        return float(
            sum(1 for a, b in pairwise(orders) if a is not None and b is not None and b < a)
        )

    def amount_change(self) -> Value:
        amounts = [e.number for e in self.of("amount_changed")]
        if not amounts or not amounts[0] or amounts[0] < 0 or amounts[-1] is None:
            return None
        return min(max(amounts[-1] / amounts[0] - 1, -1e6), 1e6)

    def validation(self) -> Value:
        if not self.carried(*VALIDATION):
            return None
        last = self.last(*VALIDATION)
        return 0.0 if last is None else 1.0 + VALIDATION.index(last.kind)

    def people(self, days: int) -> Value:
        if not self.carried(*CONTACT):
            return None
        recent = [e for e in self.of(*CONTACT) if self.age(e) < days * DAY_US]
        return float(len({e.person for e in recent if e.person is not None}))

    def onsite(self, days: int) -> Value:
        if not self.carried("meeting_held"):
            return None
        meetings = [e for e in self.of("meeting_held") if e.name == "onsite"]
        return float(sum(1 for e in meetings if self.age(e) < days * DAY_US))

    def activity(self) -> list[Event]:
        """All but milestones and what is declared about them."""
        return [e for e in self.seen if not e.kind.startswith(("milestone_", "must_hit_"))]

    def last_event(self) -> Value:
        if not self.activity():
            return None
        event = self.activity()[-1]
        own: dict[str, tuple[str, ...]] = {
            "activity_logged": self.vocabulary.activities,
            "field_changed": self.vocabulary.number_fields + self.vocabulary.text_fields,
        }
        named = event.name is not None and event.name in own.get(event.kind, ())
        return self.category("last_event", event.name if named else event.kind)

    def before_opening(self) -> Value:
        opened = self.last("deal_opened")
        if opened is None:
            return None
        first = self.seen[0].occurred_at
        return (microseconds(opened.occurred_at) - microseconds(first)) / DAY_US

    def field(self, name: str) -> Event | None:
        found = [e for e in self.of("field_changed") if e.name == name]
        return found[-1] if found else None

    # Milestones.

    def milestones(self) -> dict[str, Value]:
        kinds = ("milestone_set", "milestone_moved", "milestone_reached", "milestone_dropped")
        names = {e.name for e in self.of(*kinds)}
        still_open = overdue = reached = counted = 0
        most_late = slipped = 0.0
        for name in names:
            state, first_due, due, reached_at = "open", None, None, 0
            for event in self.of(*kinds):
                if event.name != name:
                    continue
                if event.kind == "milestone_set":
                    state = "open"
                elif event.kind == "milestone_reached" and state != "reached":
                    state, reached_at = "reached", microseconds(event.occurred_at)
                elif event.kind == "milestone_dropped":
                    state = "dropped"
                if event.kind in ("milestone_set", "milestone_moved") and event.date is not None:
                    due = (days_of(event.date) + 1) * DAY_US  # the end of that day
                    first_due = due if first_due is None else first_due
            if state == "dropped":
                continue
            counted += 1
            reached += state == "reached"
            if due is None or first_due is None:
                continue
            slipped += max(due - first_due, 0)
            slipped += max((reached_at if state == "reached" else self.as_of) - due, 0)
            if state == "reached":
                continue
            still_open += 1
            if due < self.as_of:
                overdue += 1
                most_late = max(most_late, self.as_of - due)
        none = counted == 0
        return {
            "milestones_overdue": None if none else float(overdue),
            "milestone_overdue_days": None if none else most_late / DAY_US,
            "milestone_slippage_days": None if none else slipped / DAY_US,
            "milestones_reached_share": None if none else reached / counted,
            "milestones_open": None if none else float(still_open),
            "milestones_reached_30_days": self.count(["milestone_reached"], 30),
        }

    # Win rates.

    def closing_of(self, events: Sequence[Event], who: str) -> tuple[str | None, bool] | None:
        """Whose closing a deal stands at, as known when it counts: (name, won), or None."""
        until = self.as_of
        if self.counted_before is not None:
            until = min(until, self.counted_before - 1)
        known = [e for e in in_order(events) if known_at(e) <= until]
        ends = [e for e in known if e.kind in (*CLOSINGS, "deal_reopened")]
        if not ends or ends[-1].kind == "deal_reopened":
            return None
        owner = None
        for event in known[: known.index(ends[-1])]:
            if event.kind == f"{who}_changed" and known_at(event) <= known_at(ends[-1]):
                owner = event.name
        return owner, ends[-1].kind == "deal_won"

    def win_rate(self, who: str) -> Value:
        mine = self.last(f"{who}_changed")
        if mine is None or self.others is None:
            return None
        ends = [end for events in self.others if (end := self.closing_of(events, who)) is not None]
        if not ends:
            return None
        base = sum(won for _, won in ends) / len(ends)
        own = [won for name, won in ends if name == mine.name]
        return (sum(own) + PRIOR * base) / (len(own) + PRIOR)

    # The catalogue.

    def features(self) -> dict[str, Value]:
        talks = float(self.last(TALKS[0]) is not None) if self.carried(*TALKS) else None
        competitor = (
            float(self.last("competitor_named") is not None)
            if self.carried("competitor_named")
            else None
        )
        found = {
            "silence_days": self.since_or_opening(*CONTACT),
            **{f"customer_contacts_{d}_days": self.count(CONTACT, d) for d in (14, 30, 90)},
            "customer_people_90_days": self.people(90),
            "unanswered_messages": self.count_after("message_sent", *CONTACT),
            "our_silence_days": self.since("message_sent", "call_made", "meeting_held"),
            "auto_replies_since_contact": self.count_after("auto_reply_received", *CONTACT),
            "meetings_60_days": self.count(["meeting_held"], 60),
            "onsite_meetings_90_days": self.onsite(90),
            **self.milestones(),
            "commercial_talks": talks,
            "commercial_talks_days": self.since(TALKS[0]),
            "no_talks_days_left": self.close_date_days() if talks == 0 else None,
            "technical_validation": self.validation(),
            "technical_validation_days": self.since(*VALIDATION),
            "close_date_pushes": self.pushes()[0],
            "close_date_pushed_days": self.pushes()[1],
            "close_date_days": self.close_date_days(),
            "stage_days": self.since("stage_changed"),
            "stage_steps_back": self.steps_back(),
            "deal_age_days": self.since("deal_opened"),
            "before_opening_days": self.before_opening(),
            "reopened": self.count(["deal_reopened"]),
            "amount": number_of(self.last("amount_changed")),
            "amount_change": self.amount_change(),
            "internal_update_days": self.since_or_opening("internal_update_posted"),
            "internal_requests_unanswered": self.count_after(
                "internal_update_requested", "internal_update_posted"
            ),
            "escalations_30_days": self.count(["escalation_raised"], 30),
            "next_step_days": self.since("next_step_changed"),
            "competitor_named": competitor,
            "owner_win_rate": self.win_rate("owner"),
            "account_win_rate": self.win_rate("account"),
            "quiet_days": self.age(self.activity()[-1]) / DAY_US if self.activity() else None,
            **{
                f"events_{d}_days": float(
                    sum(1 for e in self.activity() if self.age(e) < d * DAY_US)
                )
                for d in (7, 30)
            },
            **{
                f"{kind}_count": self.count([kind])
                for kind in ("customer_replied", "message_sent", "call_made", "meeting_held")
            },
            "customer_replied_days": self.since("customer_replied"),
            "call_made_days": self.since("call_made"),
            **self.calendar(),
        }
        for feature, kind in (
            ("stage", "stage_changed"),
            ("forecast_category", "forecast_category_changed"),
            ("pipeline", "pipeline_changed"),
            ("currency", "currency_changed"),
        ):
            if feature in self.vocabulary.categories:
                found[feature] = self.category(feature, name_of(self.last(kind)))
        if "last_event" in self.vocabulary.categories:
            found["last_event"] = self.last_event()
        for activity in self.vocabulary.activities:
            logged = [e for e in self.of("activity_logged") if e.name == activity]
            carried = self.carried("activity_logged")
            found[f"activity:{activity}:count"] = float(len(logged)) if carried else None
            found[f"activity:{activity}:days"] = self.age(logged[-1]) / DAY_US if logged else None
        for name_ in self.vocabulary.number_fields:
            found[f"field:{name_}"] = number_of(self.field(name_))
        for name_ in self.vocabulary.text_fields:
            event = self.field(name_)
            found[f"field:{name_}"] = self.category(
                f"field:{name_}", None if event is None else event.text
            )
        return found

    def calendar(self) -> dict[str, Value]:
        now = from_microseconds(self.as_of)
        quarter = now.month + 3 - (now.month - 1) % 3
        end = datetime(now.year + (quarter > 12), (quarter - 1) % 12 + 1, 1, tzinfo=now.tzinfo)
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        clock = (microseconds(now) - microseconds(midnight)) / DAY_US
        every = {
            "week_day": now.weekday() + clock,
            "quarter_days_left": (microseconds(end) - self.as_of) / DAY_US,
            "year_day": now.timetuple().tm_yday - 1 + clock,
        }
        return {name: days for name, days in every.items() if name in self.vocabulary.calendar}
