"""The story that this project exists for: a very large deal that must be won by the quarter's end.

Testing has not begun, nobody talks about terms, the customer's last word is nine days old with two
out-of-office replies since, two of our own requests for an update are unanswered, and each of the
coming four weeks has a milestone that somebody declared must-hit.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.artifact import Artifact
from model.asof import AsOf
from model.catalogue.promises import SET, milestone_stories
from model.events import Event, microseconds
from model.history import History
from model.hypothetical import parse_hypothetical
from model.score import Score, score_from_json
from model.scorer import Scorer
from model.supposition import suppose
from model.why_moved import explain_change
from service.cli import DONE, main
from tests.conftest import SMALL_KNOWN_BEFORE
from tests.large_deals import CRM, MAIL, MAIL_KINDS, MILESTONES, large_deals
from training.simulate import Simulation

KNOWN_BEFORE = datetime(2026, 1, 1, tzinfo=UTC)
DEAL = "Nordwind"
CLOSE_BY = date(2026, 3, 31)
DECLARED_BY = "Ada Brandt, head of sales"
DUE = (date(2026, 3, 6), date(2026, 3, 13), date(2026, 3, 20), date(2026, 3, 27))  # Fridays
WITHIN_ROUNDING = 1e-9


def at(month: int, day: int, hour: int = 9) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=UTC)


def told(kind: str, when: datetime, **values: Any) -> Event:
    return Event(
        deal_id=DEAL,
        kind=kind,
        occurred_at=when,
        source=MAIL if kind in MAIL_KINDS else CRM,
        source_id=f"{kind}/{values.get('name', '')}/{when:%m-%dT%H}",
        **values,
    )


START = (
    told("deal_opened", at(1, 8)),
    told("amount_changed", at(1, 8), number=8_400_000.0),
    told("close_date_changed", at(1, 8), date=CLOSE_BY),
    told("message_sent", at(1, 14)),
    told("customer_replied", at(1, 15)),
    told("meeting_held", at(1, 27), name="remote"),
    told("internal_update_posted", at(2, 10)),
    told("message_sent", at(2, 20)),
    told("customer_replied", at(2, 23)),
    told("message_sent", at(2, 25)),
    told("auto_reply_received", at(2, 25, 10)),
    told("internal_update_requested", at(2, 26)),
    told("message_sent", at(3, 2)),
    told("auto_reply_received", at(3, 2, 10)),
    told("internal_update_requested", at(3, 3)),
    *(
        told("milestone_set", at(3, 3, 14), name=name, date=due)
        for name, due in zip(MILESTONES, DUE, strict=True)
    ),
    *(told("must_hit_declared", at(3, 3, 15), name=name, text=DECLARED_BY) for name in MILESTONES),
)
TODAY = at(3, 4)
REACHED = tuple(
    told("milestone_reached", datetime(due.year, due.month, due.day - 1, 10, tzinfo=UTC), name=name)
    for name, due in zip(MILESTONES, DUE, strict=True)
)
FRIDAYS = tuple(event.occurred_at + timedelta(hours=23) for event in REACHED)


@pytest.fixture(scope="session")
def large_artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact trained in seconds on a made-up company's large deals."""
    from threadpoolctl import threadpool_limits

    from training import fit
    from training.boosting import Settings
    from training.preparing import Options

    options = Options(edges_days=(14.0, 30.0, 90.0), spacing_days=14.0, jobs=1)
    with threadpool_limits(1), pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit, "candidates", lambda _rows: [Settings(rows_a_leaf=20, trees=40)])
        artifact = fit.train(large_deals(600, seed=1), microseconds(KNOWN_BEFORE), options)
    directory = tmp_path_factory.mktemp("large") / "artifact"
    artifact.save(directory)
    return directory


@pytest.fixture(scope="session")
def scorer(large_artifact: Path) -> Scorer:
    return Scorer(Artifact.load(large_artifact))


@pytest.fixture
def score(scorer: Scorer) -> Callable[..., Score]:
    """Score the deal after its start and some more events, with all drivers."""

    def scored(as_of: datetime, *more: Event) -> Score:
        history = History.from_events([*START, *more])
        return scorer.score(history, as_of, close_by=CLOSE_BY, most=None)

    return scored


def chance(score: Score) -> float:
    assert score.probability is not None
    return score.probability


def test_the_deal_is_far_below_the_average_deal_and_the_score_says_why(
    score: Callable[..., Score],
) -> None:
    now = score(TODAY)

    assert now.average_probability is not None
    assert chance(now) < now.average_probability / 2
    drivers = {driver.feature: driver for driver in now.drivers}
    down = {
        "silence_days": (9.0, "no real customer contact for 9 days"),
        "auto_replies_since_contact": (
            2.0,
            "2 automatic replies since the last real customer contact",
        ),
        "internal_requests_unanswered": (
            2.0,
            "2 of our own requests for an update are unanswered",
        ),
        "commercial_talks": (0.0, "commercial talks have not started"),
        "technical_validation": ("not started", "technical validation has not started"),
    }
    for feature, (value, phrase) in down.items():
        assert (drivers[feature].value, drivers[feature].phrase) == (value, phrase)
        assert drivers[feature].points < 0, feature
    top = [driver.feature for driver in now.drivers[:5]]
    assert {"auto_replies_since_contact", "technical_validation_days"} <= set(top)


def test_an_out_of_office_reply_is_no_contact_of_the_customer(score: Callable[..., Score]) -> None:
    def contact(*more: Event) -> dict[str, object]:
        found = {driver.feature: driver.value for driver in score(TODAY, *more).drivers}
        return {name: found[name] for name in ("silence_days", "customer_contacts_30_days")}

    assert contact() == {"silence_days": 9.0, "customer_contacts_30_days": 1.0}
    assert contact(told("auto_reply_received", at(3, 4, 8))) == contact()
    assert contact(told("customer_replied", at(3, 4, 8)))["silence_days"] == 1 / 24


def test_the_first_milestone_is_the_next_gate_with_who_declared_it(
    score: Callable[..., Score],
) -> None:
    now = score(TODAY)

    assert now.gates is not None
    assert now.gates.next is not None
    assert (now.gates.next.name, now.gates.next.due) == ("lab test", "2026-03-06")
    assert now.gates.next.declared_by == DECLARED_BY
    assert now.gates.missed == ()
    assert now.shown_probability == now.probability
    assert now.gates.probability_if_missed == 0.0


@pytest.mark.parametrize("week", range(4))
def test_each_milestone_reached_raises_the_score(score: Callable[..., Score], week: int) -> None:
    without, reached = (score(FRIDAYS[week], *REACHED[:many]) for many in (week, week + 1))

    assert chance(reached) > chance(without)
    assert reached.shown_probability == reached.probability


@pytest.mark.parametrize("week", range(4))
def test_each_week_s_change_adds_up_and_names_the_milestone_reached(
    scorer: Scorer, week: int
) -> None:
    history = History.from_events([*START, *REACHED])
    since = (TODAY, *FRIDAYS)[week]

    change = explain_change(scorer, history, since, FRIDAYS[week], close_by=CLOSE_BY)

    assert sum(step.points for step in change.steps) == pytest.approx(
        change.after - change.before, abs=WITHIN_ROUNDING
    )
    assert [step.reason for step in change.steps] == ["fewer days", "time", "event"]
    event = change.steps[-1]
    assert event.phrase == f"milestone reached, {MILESTONES[week]}"
    assert event.points > 0
    assert sum(shift.points for shift in event.shifts) == pytest.approx(
        event.points, abs=WITHIN_ROUNDING
    )
    plans = [s.points for s in event.shifts if s.feature.startswith("milestone")]
    assert plans
    assert min(plans) >= 0


def test_a_missed_milestone_makes_it_zero_until_it_is_reached_whatever_is_moved(
    score: Callable[..., Score],
) -> None:
    moved = told("milestone_moved", at(3, 14), name=MILESTONES[1], date=DUE[2])
    late = told("milestone_reached", at(3, 17), name=MILESTONES[1])
    end = datetime(2026, 3, 14, tzinfo=UTC)
    course = [
        (end - timedelta(seconds=1), [], False),
        (end, [], True),
        (at(3, 14, 12), [moved], True),
        (at(3, 17, 8), [moved], True),
        (at(3, 17, 12), [moved, late], False),
    ]

    for as_of, more, is_missed in course:
        now = score(as_of, REACHED[0], *more)
        assert now.gates is not None
        assert [gate.name for gate in now.gates.missed] == [MILESTONES[1]] * is_missed
        assert chance(now) > 0  # the model's own stands beside it
        assert now.shown_probability == (0.0 if is_missed else now.probability)


def write_log(path: Path, events: list[Event]) -> None:
    columns = ("deal_id", "occurred_at", "kind", "name", "text", "number", "date", "source_id")
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for event in events:
            values = (getattr(event, column) for column in columns)
            cells = [v.isoformat() if isinstance(v, date) else v for v in values]
            writer.writerow(["" if cell is None else cell for cell in cells])


def write_mapping(path: Path, source: str) -> None:
    kinds = sorted({event.kind for event in (*START, *REACHED)})
    path.write_text(
        f'source = "{source}"\n[[record]]\ntitle = "events"\nrows = "event"\n'
        'source_id = "{source_id}"\nactivity = "kind"\n'
        + "".join(
            f'{key} = "{key}"\n'
            for key in ("deal_id", "occurred_at", "name", "text", "number", "date")
        )
        + "[record.activities]\n"
        + "".join(f'{kind} = "{kind}"\n' for kind in kinds),
        encoding="utf-8",
    )


def test_the_story_is_told_by_the_commands_as_each_week_s_news_is_imported(
    score: Callable[..., Score],
    large_artifact: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    log = str(tmp_path / "events.parquet")

    def run(*arguments: str) -> str:
        capfd.readouterr()
        assert main(arguments) == DONE
        return capfd.readouterr().out

    def bring(events: list[Event]) -> None:
        for source in sorted({event.source for event in events}):
            name = source.partition(":")[0]
            write_mapping(tmp_path / f"{name}.toml", source)
            write_log(tmp_path / f"{name}.csv", [e for e in events if e.source == source])
            files = (str(tmp_path / f"{name}.toml"), str(tmp_path / f"{name}.csv"))
            run("import", *files, "--out", log)

    def explain(as_of: datetime, *more: str) -> str:
        asked = ("--artifact", str(large_artifact), "--close-by", CLOSE_BY.isoformat())
        return run("explain", log, DEAL, *asked, "--as-of", as_of.isoformat(), *more)

    bring(list(START))
    assert "no real customer contact for 9 days" in explain(TODAY, "--drivers", "30")
    moments = (TODAY, *FRIDAYS)
    for week, (since, as_of) in enumerate(pairwise(moments)):
        bring([REACHED[week]])
        asked = ("--since", since.isoformat())
        said = score_from_json(json.loads(explain(as_of, *asked, "--json")))
        assert chance(said) == pytest.approx(
            chance(score(as_of, *REACHED[: week + 1])), abs=WITHIN_ROUNDING
        )
        assert said.change is not None
        assert said.change.steps[-1].phrase == f"milestone reached, {MILESTONES[week]}"
        assert f"milestone reached, {MILESTONES[week]}" in explain(as_of, *asked)


def test_no_open_deal_s_probability_falls_when_a_milestone_is_reached(
    small_company: Simulation, small_artifact: Path
) -> None:
    scorer = Scorer(Artifact.load(small_artifact))
    history = History.from_table(small_company.events)
    now = microseconds(SMALL_KNOWN_BEFORE)
    at_now, days = np.array([now]), np.array([85.0])
    deals = np.arange(history.deals)
    scored = scorer.score_many(history, deals, np.full(len(deals), now), None)
    codes = scorer.features.vocabulary.codes(history)
    risen = []
    for deal in np.flatnonzero(scored.is_open).tolist():
        known = AsOf(history, scorer.features.vocabulary, codes, np.array([deal]), at_now)
        stories = milestone_stories(known.snapshots[0])
        for name in [history.names[code] for code, story in stories.items() if story[0] == SET]:
            supposed = [parse_hypothetical(f"milestone_reached {name}")]
            then = suppose(history, deal, now, supposed, scorer.features, scorer.trained_feeds)
            before, after = (
                scorer.score_many(each, np.array([one]), at_now, days).split
                for each, one in ((history, deal), (then, 0))
            )
            assert before is not None
            assert after is not None
            risen.append(float(after.probability[0] - before.probability[0]))
    assert len(risen) > 20
    assert min(risen) >= -WITHIN_ROUNDING
    assert np.mean(risen) > 0
