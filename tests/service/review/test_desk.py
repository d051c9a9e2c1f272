"""The served review, as the desk answers it; `test_browser` looks at it as a person does."""

from __future__ import annotations

import re
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from html import unescape
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest

from model.errors import ScoreError
from model.events import DAY_US, Event, microseconds
from model.history import History
from model.period import quarter_of, week_begin
from service.batch import load_scorer
from service.review.asking import Answer, Request
from service.review.desk import Desk
from service.review.gathering import Gathered
from service.review.listing import Listing
from service.review.question import Question
from service.review.review_settings import ReviewSettings
from service.review.routes import _response
from service.review.shelf import FAULT_SECONDS, MOST_WAITING, Kept, Shelf
from service.review.stored import probability_within
from service.storage import scores, tombstones
from service.storage.database import Database, open_database
from tests.factories import date_of, deal_event
from tests.service.review.conftest import NOW, install, keep, made, own


def shown(
    desk: Desk, place: str = "review", owners: frozenset[str] | None = None, **query: str
) -> str:
    deal_id = query.pop("deal_id", "")
    request = Request(place=place, deal_id=deal_id, query=query, owners=owners, patient=False)
    return made(desk, request).body.decode()


def deals_of(page: str) -> list[str]:
    """The deals of the table, in order."""
    cell = r'<th scope="row" class="word"><a href="/review/deals/[^"]*">([^<]*)</a>'
    return re.findall(cell, table_of(page))


def table_of(page: str) -> str:
    return page[page.index('id="deals"') :]


def some_owner(page: str) -> str:
    link = next(link for link in links(page) if "owner=" in link)
    return dict(parse_qsl(urlsplit(link).query))["owner"]


def links(page: str) -> list[str]:
    return [unescape(each) for each in re.findall(r'href="([^"]+)"', page)]


def test_every_open_deal_is_a_link_to_its_page(desk: Desk) -> None:
    page = shown(desk)
    found = deals_of(page)

    assert len(found) > 20
    assert f"/review/deals/{found[0]}" in page
    assert "<h1>" + found[0] in shown(desk, "deal", deal_id=found[0])


def test_a_link_in_a_heading_sorts_and_sorts_the_other_way_round(desk: Desk) -> None:
    by_name, back = shown(desk, sort="deal"), shown(desk, sort="-deal")

    assert deals_of(by_name) == sorted(deals_of(by_name))
    assert deals_of(back) == deals_of(by_name)[::-1]
    assert 'aria-sort="ascending"' in by_name
    assert any("sort=-deal" in link for link in links(by_name))


def test_an_owner_s_review_is_of_that_owner_s_deals_and_says_so(desk: Desk) -> None:
    owner = some_owner(shown(desk))
    page = shown(desk, owner=owner)

    assert 0 < len(deals_of(page)) < len(deals_of(shown(desk)))
    assert "Only some of the deals are shown" in page
    rows = re.findall(r'<tr><th scope="row" class="word">.*?</tr>', table_of(page))
    assert all(owner in row for row in rows)


def test_a_key_of_some_owners_sees_their_deals_alone(desk: Desk) -> None:
    everybody = shown(desk)
    owner = some_owner(everybody)
    bound = frozenset({owner})
    page = shown(desk, owners=bound)
    hidden = next(deal for deal in deals_of(everybody) if deal not in deals_of(page))

    assert deals_of(page) == deals_of(shown(desk, owner=owner))
    assert hidden not in page
    nothing = unescape(shown(desk, owners=bound, owner="somebody else"))
    assert (
        f"No deal of owner 'somebody else' is known. The deals that are known are of {owner!r}"
        in nothing
    )
    refused = made(desk, Request(place="deal", deal_id=hidden, owners=bound, patient=False))
    assert refused.status == 404


def test_a_bar_of_the_bridge_opens_the_deals_behind_it_which_add_up_to_it(desk: Desk) -> None:
    assert adding_up(desk) > 2


def test_with_two_currencies_a_bar_opens_the_deals_of_its_own(
    empty: tuple[Database, Desk], small_artifact: Path
) -> None:
    database, desk = empty
    for place, currency in enumerate(("EUR", "EUR", "USD")):
        deal_id = f"D-{place}"
        told = deal_event("currency_changed", -10.0, name=currency)
        keep(database, [replace(event, deal_id=deal_id) for event in (*a_deal(), told)])
    told = [*a_deal(), deal_event("currency_changed", -10.0, name="EUR")]
    told.append(deal_event("currency_changed", 4.0, name="USD"))
    keep(database, [replace(event, deal_id="D-3") for event in told])
    install(database, small_artifact)

    assert adding_up(desk, week="2026-W03") > 2
    for currency in ("EUR", "USD"):
        changed = shown(desk, week="2026-W03", bar="amount changed", currency=currency)
        assert deals_of(changed) == ["D-3"]
    assert deals_of(shown(desk, week="2026-W03", bar="events", currency="USD")) == ["D-2"]


def adding_up(desk: Desk, **query: str) -> int:
    """How many bars there are, each of which comes to its deals."""
    page = shown(desk, **query)
    of_bar = r'<a href="([^"]*bar=[^"]*)">[^<]+</a></th><td class="number[^"]*">([^<]+)</td>'
    bars = re.findall(of_bar, page)
    for link, total in bars:
        opened = shown(desk, **dict(parse_qsl(urlsplit(unescape(link)).query)))
        cell = r'<th scope="row" class="word">.*?<td class="number[^"]*">([^<]+)</td>'
        cents = re.findall(cell, table_of(opened))
        assert sum(map(money, cents)) == pytest.approx(money(total))
    return len(bars)


def money(text: str) -> float:
    return float(text.replace(",", "").replace("\N{MINUS SIGN}", "-"))


def test_a_deal_s_page_tells_all_that_the_meeting_asks(desk: Desk) -> None:
    deal_id = deals_of(shown(desk))[0]
    page = shown(desk, "deal", deal_id=deal_id)

    for heading in (
        "The way until now",
        "Probability by date",
        "What makes it so",
        "Why it moved since last week",
        "Milestones, as planned",
        "Contacts",
        "Gates",
        "Past deals that stood alike",
        "What if?",
    ):
        assert heading in page, heading
    drawings = re.findall(r'<img class="drawing" src="([^"]+)"', page)
    assert len(drawings) == 2
    for source in drawings:
        path = unquote(urlsplit(unescape(source)).path)
        name = path.rsplit("/", 1)[1].removesuffix(".svg")
        drawn = made(desk, Request(place="deal chart", deal_id=deal_id, name=name))
        assert drawn.body.startswith(b'<svg xmlns="http://www.w3.org/2000/svg"')


def test_comparable_deals_are_chosen_among_those_that_a_key_may_see(desk: Desk) -> None:
    owner = some_owner(shown(desk))
    bound = frozenset({owner})
    mine, common = 0, 0
    for deal_id in deals_of(shown(desk, owners=bound))[:4]:
        of_all = comparable_of(shown(desk, "deal", deal_id=deal_id))
        of_key = comparable_of(shown(desk, "deal", deal_id=deal_id, owners=bound))
        for each in of_key:
            request = Request(place="deal", deal_id=each, owners=bound, patient=False)
            assert made(desk, request).status == 200
        mine += len(of_key)
        common += len(set(of_all) & set(of_key))
    assert mine > common


def comparable_of(page: str) -> list[str]:
    table = page[page.index('id="comparable"') :].partition("</table>")[0]
    return re.findall(r'<th scope="row" class="word"><a href="[^"]*">([^<]*)</a>', table)


def test_drivers_on_a_deal_s_page_add_up(desk: Desk) -> None:
    page = shown(desk, "deal", deal_id=deals_of(shown(desk))[0])
    table = page[page.index('id="deal-drivers"') :].partition("</table>")[0]
    told = [money(text) for text in re.findall(r'<td class="number">([^<]+)</td>', table)]

    assert sum(told[:-1]) == pytest.approx(told[-1], abs=0.05 * len(told))


def test_a_supposed_event_is_answered_or_refused_in_words(desk: Desk) -> None:
    deal_id = deals_of(shown(desk))[0]
    answered = shown(desk, "deal", deal_id=deal_id, kind="meeting_held", name="onsite")
    refused = shown(desk, "deal", deal_id=deal_id, kind="milestone_reached")

    assert "Meeting held: onsite" in answered
    assert "as supposed" in answered
    assert "milestone_reached without name" in refused


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        (
            {"owner": "nobody"},
            "No deal of owner 'nobody' is known. The deals that are known are of",
        ),
        ({"owner": ""}, "No deal without owner is known."),
        ({"segment": "nosuch"}, "No deal of segment 'nosuch' is known."),
    ],
)
def test_an_owner_or_segment_of_no_deal_is_named_with_those_there_are(
    desk: Desk, query: dict[str, str], reason: str
) -> None:
    answer = made(desk, Request(place="review", query={"week": "2026-W03", **query}))
    page = unescape(answer.body.decode())

    assert answer.status == 404
    assert reason in page
    assert "Import" not in page
    assert '<a href="/review?week=2026-W03">The whole review</a>' in page


def test_a_segment_asked_for_where_there_are_none_tells_the_setting(
    empty: tuple[Database, Desk],
) -> None:
    database, desk = empty
    keep(database, a_deal())

    assert "REDFLARE_REVIEW_SEGMENT" in shown(desk, week="2026-W03", segment="nosuch")


def test_a_key_whose_owner_has_no_deal_is_not_told_to_import(desk: Desk) -> None:
    page = shown(desk, owners=frozenset({"nobody"}))

    assert "No deal of those asked for is known by 2026-01-12" in page
    assert "Import" not in page


def test_a_page_past_the_last_one_is_said_to_be_none(desk: Desk) -> None:
    assert "There is no page 99 of the list of deals, which has 1 page: page 1 is shown." in shown(
        desk, page="99"
    )


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ({"week": "2026-60"}, "a week of ISO 8601"),
        ({"close_by": "soon"}, "a date"),
        ({"close_by": "2026-03-30"}, "a quarter's last day, as 2026-03-31"),
        ({"close_by": "20260331"}, "a quarter's last day, as 2026-03-31"),
        ({"show": "none"}, "one of all, flared"),
        ({"sort": "colour"}, "one of deal, amount"),
        ({"bar": "luck"}, "one of won, lost"),
        ({"page": "-1"}, "a number from 1"),
        ({"page": "9" * 5000}, "a number from 1"),
        ({"week": "0001-W01"}, "a week of ISO 8601"),
        ({"week": "9999-W51"}, "a week of ISO 8601"),
        ({"close_by": "9999-12-31"}, "a date from 1970-01-01"),
        ({"week": "2027-W03"}, "at most 90 days after"),
    ],
)
def test_what_a_url_cannot_ask_is_refused_with_the_reason(
    desk: Desk, query: dict[str, str], reason: str
) -> None:
    answer = made(desk, Request(place="review", query=query, patient=False))

    assert answer.status == 422
    assert reason in unescape(answer.body.decode())


def test_the_first_weeks_there_are_and_drawings_that_are_none_are_answered(desk: Desk) -> None:
    early = made(desk, Request(place="review", query={"week": "1970-W02"}, patient=False))
    drawing = made(desk, Request(place="chart", name="quarter-²"))

    assert early.status in (200, 422)
    assert drawing.status == 404


def test_a_list_on_several_pages_says_on_paper_too_which_deals_it_holds() -> None:
    page = Listing(rows=[], moves=[(None, None)] * 39, total=139, page=2, pages=2)  # type: ignore[list-item] # only counted

    assert page.span == "Deals 101 to 139 of 139"


def test_served_pages_hold_no_script_style_or_foreign_address(desk: Desk) -> None:
    pages = [
        shown(desk),
        shown(desk, "deal", deal_id=deals_of(shown(desk))[0]),
        shown(desk, "login"),
    ]
    for page in pages:
        assert not re.search(r"<script|<style|\sstyle=|\son\w+=|https?://", page)


@pytest.fixture
def empty(sqlite_template: Path, tmp_path: Path) -> Iterator[tuple[Database, Desk]]:
    shutil.copy(sqlite_template, tmp_path / "redflare.db")
    database = open_database(f"sqlite:///{tmp_path / 'redflare.db'}")
    yield database, Desk(database, ReviewSettings(), lambda: NOW)
    database.close()


def a_deal() -> list[Event]:
    return [
        deal_event("deal_opened", -10.0),
        deal_event("amount_changed", -10.0, number=1_000.0),
        deal_event("close_date_changed", -10.0, date=date_of(30.0)),
        deal_event("customer_replied", 5.0),
    ]


def test_an_empty_database_says_what_to_do(empty: tuple[Database, Desk]) -> None:
    assert "Import your CRM" in shown(empty[1])


def test_a_deal_that_changed_hands_since_the_week_shown_is_open_to_its_owner_now_alone(
    empty: tuple[Database, Desk],
) -> None:
    database, desk = empty
    keep(database, [*a_deal(), deal_event("owner_changed", -10.0, name="bob")])
    keep(database, [deal_event("owner_changed", 8.0, name="ann")])  # known after the Monday
    own(database, {"D-1": "ann"})

    def asked(owner: str, place: str = "deal") -> Answer:
        query = {"week": "2026-W03"}
        owners = frozenset({owner})
        wanted = Request(place=place, deal_id="D-1", query=query, owners=owners, patient=False)
        return made(desk, wanted)

    assert asked("bob").status == 404
    assert asked("ann").status == 200
    assert "D-1" not in asked("bob", "review").body.decode()
    assert deals_of(asked("ann", "review").body.decode()) == ["D-1"]


def test_a_database_whose_deals_were_all_forgotten_says_what_to_do(
    empty: tuple[Database, Desk],
) -> None:
    database, desk = empty
    keep(database, a_deal())
    with database.writing() as connection:
        tombstones.forget_deal(connection, "D-1", by="ann", at=microseconds(NOW))

    assert "redflare import" in shown(desk)


def test_a_deal_s_page_is_shown_where_no_deal_has_closed(
    empty: tuple[Database, Desk], small_artifact: Path
) -> None:
    database, desk = empty
    keep(database, [*a_deal(), *(deal_event("customer_replied", n - 9.0) for n in range(9))])
    install(database, small_artifact)

    assert "<h1>D-1" in shown(desk, "deal", deal_id="D-1", week="2026-W03")


def test_no_browser_keeps_a_drawing_for_whoever_signs_in_next(desk: Desk) -> None:
    drawing = made(desk, Request(place="chart", name="bridge-0"))

    assert drawing.media_type == "image/svg+xml"
    assert _response(drawing).headers["cache-control"] == "private, no-store"


def test_an_event_of_the_far_future_hides_no_silence(empty: tuple[Database, Desk]) -> None:
    database, desk = empty
    keep(database, a_deal())
    said = shown(desk, week="2026-W07")
    keep(database, [deal_event("call_made", 27_000.0)])

    assert "Nothing is known after" in said
    assert "Nothing is known after" in shown(desk, week="2026-W07")


def test_without_a_model_the_deals_are_shown_and_how_to_get_one(
    empty: tuple[Database, Desk],
) -> None:
    database, desk = empty
    keep(database, a_deal())

    page = shown(desk, week="2026-W03")

    assert "redflare model install" in page
    assert deals_of(page) == ["D-1"]
    assert "It can be given no probability" in shown(desk, "deal", deal_id="D-1", week="2026-W03")


def test_a_model_that_knows_what_came_after_the_week_is_not_asked(
    empty: tuple[Database, Desk], small_artifact: Path
) -> None:
    database, desk = empty
    keep(database, a_deal())
    install(database, small_artifact)

    page = unescape(shown(desk, week="2026-W01"))

    assert "its probabilities would be hindsight" in page
    assert "--known-before 2025-12-29" in page


def test_a_quarter_past_what_the_model_answers_is_said_to_be(
    empty: tuple[Database, Desk], small_artifact: Path
) -> None:
    database, desk = empty
    keep(database, a_deal())
    install(database, small_artifact)

    assert "cannot answer for 2026-12-31" in shown(desk, week="2026-W03", close_by="2026-12-31")


def test_a_review_is_made_anew_when_what_it_was_made_of_changes_and_not_before(
    database: Database,
) -> None:
    desk = Desk(database, ReviewSettings(), lambda: NOW)
    keep(database, a_deal())
    week = {"week": "2026-W03"}
    assert deals_of(shown(desk, **week)) == ["D-1"]

    keep(database, [deal_event("deal_opened", 8.0, deal_id="D-2")])  # known after the Monday
    assert deals_of(shown(desk, **week)) == ["D-1"]
    keep(database, [deal_event("deal_opened", 3.0, deal_id="D-3")])
    assert deals_of(shown(desk, **week)) == ["D-1"], "the old one, while the new one is made"

    found = ["D-1"]
    until = time.monotonic() + 60
    while found == ["D-1"] and time.monotonic() < until:
        found = deals_of(shown(desk, **week))
    assert found == ["D-1", "D-3"]


def test_reviews_are_made_one_after_the_other_and_few_wait(
    empty: tuple[Database, Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    database, desk = empty
    keep(database, a_deal())
    going_on = threading.Event()
    at_once: list[int] = []
    gathered = Shelf._gathered

    def slow(shelf: Shelf, question: Question) -> Gathered:
        at_once.append(1)
        assert going_on.wait(30.0)
        assert sum(at_once) == 1
        made = gathered(shelf, question)
        at_once.pop()
        return made

    monkeypatch.setattr(Shelf, "_gathered", slow)
    before = threading.active_count()
    weeks = [{"week": f"2025-W{week}"} for week in range(20, 20 + 2 * MOST_WAITING)]
    for query in weeks:
        assert desk.answer(Request(place="review", query=query, patient=False)) is None
    assert threading.active_count() == before + 1
    going_on.set()

    assert made(desk, Request(place="review", query=weeks[-1], patient=False)).status == 200
    assert made(desk, Request(place="review", query=weeks[1], patient=False)).status == 200


def test_a_fault_is_told_without_its_inside_and_tried_again(
    empty: tuple[Database, Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    database, _ = empty
    keep(database, a_deal())
    time_now = [0.0]
    shelf = Shelf(database, lambda: time_now[0])
    question = Question(
        as_of=week_begin("2026-W03"),
        since=week_begin("2026-W02"),
        period=quarter_of(week_begin("2026-W03").date()),
    )
    gathered, tries = Shelf._gathered, []

    def full(shelf: Shelf, question: Question) -> Gathered:
        tries.append(question)
        if len(tries) == 1:
            raise OSError(28, "No space left on device: /var/lib/redflare")
        return gathered(shelf, question)

    monkeypatch.setattr(Shelf, "_gathered", full)

    def settled() -> Kept:
        until = time.monotonic() + 60
        while (found := shelf.find(question)) is None:
            assert time.monotonic() < until, "the review is not made"
            time.sleep(0.02)
        return found

    for later in (0.0, FAULT_SECONDS - 1.0):
        time_now[0] = later
        with pytest.raises(ScoreError, match=r"^a fault of the service: ") as refusal:
            settled()
        assert "No space" not in str(refusal.value)
    assert len(tries) == 1
    time_now[0] = FAULT_SECONDS
    assert settled().gathered.now.deals


def test_a_trend_is_of_what_was_said_then(
    empty: tuple[Database, Desk], small_artifact: Path
) -> None:
    database, desk = empty
    told = [*a_deal(), *(deal_event("customer_replied", n - 9.0) for n in range(9))]
    keep(database, told)
    install(database, small_artifact)
    scorer, history = load_scorer(small_artifact), History.from_events(told)
    friday = week_begin("2026-W03") - timedelta(days=10)  # of the week before the last one
    days = (quarter_of(friday.date()).end_us - microseconds(friday)) / DAY_US
    score = scorer.score(history, friday, days=150.0, hindsight=True)
    with database.writing() as connection:
        scores.add(connection, score, cause="tick", inbox_id=None, at=microseconds(friday))

    page = shown(desk, week="2026-W03")
    said = probability_within(score, days)

    exactly = scorer.score(history, friday, days=days, hindsight=True).probability
    assert said == pytest.approx(exactly)
    assert "2 weeks" in page
    assert f"from {said:.0%} to " in page
