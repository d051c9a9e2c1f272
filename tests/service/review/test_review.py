from __future__ import annotations

import csv
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from email import message_from_bytes, policy
from html import unescape
from io import BytesIO, StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc
import pytest
from openpyxl import Workbook, load_workbook

from model.errors import ScoreError
from model.event_table import read_events, table_of, write_events
from model.events import Event, microseconds
from model.money import cents
from model.period import quarter_until, week_begin
from model.scorer import Scorer
from model.tables import Calibration
from service.batch import known_feeds, load_scorer
from service.cli import main
from service.flares import Look, flared_shard
from service.record import read_record
from service.review import words
from service.review.deal_row import DISAGREES, TREND_WEEKS
from service.review.gathering import Gathered, Models, gather
from service.review.mail import mail, summary, told_flares
from service.review.numbers import numbers
from service.review.page import page
from service.review.past import moments
from service.review.question import Question, Rates, read_rates
from service.review.source import file_source
from service.review.view import Choice, Review, laid_open, review_of
from service.review.words import MINUS, NOTHING, span
from service.review.workbook import workbook
from tests.factories import date_of, day, deal_event
from tests.service.writeback.mail_server import MailServer, mail_serving

if TYPE_CHECKING:
    from training.simulate import Simulation

Making = Callable[..., Review]


@pytest.fixture(scope="module")
def events(small_company: Simulation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("review") / "events.parquet"
    write_events(small_company.events, path)
    return path


def asked(week: str = "2026-W03", close_by: date = date(2026, 3, 31), **changed: Any) -> Question:
    as_of = week_begin(week)
    given: dict[str, Any] = {
        "as_of": as_of,
        "since": as_of - timedelta(days=7),
        "period": quarter_until(close_by),
    }
    return Question(**{**given, **changed})


def gathered_of(
    path: Path, artifact: Path | None, question: Question, models: Models | None = None
) -> Gathered:
    source = file_source(path)
    models = models or Models(now=None if artifact is None else load_scorer(artifact))
    record = source.record(microseconds(question.as_of))
    return gather(source.shards(), record, question, models)


def reviewed(path: Path, artifact: Path | None, question: Question) -> Review:
    gathered = gathered_of(path, artifact, question)
    return laid_open(gathered, review_of(gathered), file_source(path).of_deal)


@pytest.fixture(scope="module")
def gathered(events: Path, small_artifact: Path) -> Gathered:
    return gathered_of(events, small_artifact, asked(target=1_000_000.0, segment="industry"))


@pytest.fixture(scope="module")
def review(gathered: Gathered, events: Path) -> Review:
    return laid_open(gathered, review_of(gathered), file_source(events).of_deal)


@pytest.fixture(scope="module")
def html(review: Review) -> str:
    return page(review)


def written(tmp_path: Path, *told: Event) -> Path:
    path = tmp_path / "events.parquet"
    write_events(table_of(told), path)
    return path


def test_the_bridge_leads_from_last_week_s_forecast_to_this_week_s(review: Review) -> None:
    (money,) = review.money
    assert money.bridge is not None
    assert money.before is not None
    assert money.before.forecast is not None
    assert money.outlook.forecast is not None

    assert money.bridge.before == cents(money.before.forecast.whole.total.expected)
    assert money.bridge.after == cents(money.outlook.forecast.whole.total.expected)
    assert money.bridge.before + sum(money.bridge.bars.values()) == money.bridge.after


def test_a_probability_in_the_list_is_the_one_that_the_deal_s_page_explains(review: Review) -> None:
    assert review.pages
    for deal_id, opened in review.pages.items():
        row = next(row for row in review.rows if row.deal.deal_id == deal_id)
        assert opened.score.probability == pytest.approx(row.model_probability)
        assert opened.score.shown_probability == pytest.approx(row.probability)
        assert opened.score.interval is not None
        assert opened.score.interval.low == pytest.approx(row.low)
        if opened.change is not None and row.change is not None:
            told = opened.change.after - opened.change.before
            if row.probability == row.model_probability:
                assert told == pytest.approx(row.change)


def test_in_a_quarter_to_come_an_interval_is_of_the_probability_shown_and_no_gate_is_blamed(
    events: Path, small_artifact: Path
) -> None:
    gathered = gathered_of(events, small_artifact, asked(close_by=date(2026, 6, 30)))
    ahead = review_of(gathered)
    missed = {row.deal.deal_id for row in ahead.rows if any(g.state == "missed" for g in row.gates)}
    shown = [row for row in ahead.rows if row.probability is not None]

    assert 0 < len(missed) < len(shown)
    assert {row.deal.deal_id for row in ahead.rows if row.gated} == missed
    for row in shown:
        assert row.probability == (0.0 if row.gated else row.model_probability)
        assert row.low <= row.model_probability <= row.high
        assert (span(row) == NOTHING) is row.gated
    flared = [
        next(row for row in shown if row.gated is is_gated and row.flares)
        for is_gated in (True, False)
    ]
    laid = laid_open(gathered, replace(ahead, flared=flared), file_source(events).of_deal)
    told = page(laid)
    assert len(laid.pages) == 2
    assert told.count("(a must-hit milestone is missed; by the model") == 1
    assert "The quarter begins on 2026-04-01" in told


def test_expected_amounts_of_owners_and_deals_are_those_of_the_forecast(review: Review) -> None:
    (money,) = review.money
    assert money.outlook.forecast is not None
    whole = money.outlook.forecast.whole
    of_deals = sum(row.expected for row in review.rows)
    assert cents(of_deals) == cents(whole.open.expected)
    for way in ("owner", "segment"):
        groups = money.outlook.groups[way]
        assert sum(group.open.expected for group in groups) == pytest.approx(of_deals)
        assert sum(group.won for group in groups) == pytest.approx(whole.won)
    assert len(money.outlook.groups["segment"]) > 1


def test_red_flares_are_those_that_the_command_lists(
    review: Review, events: Path, small_artifact: Path
) -> None:
    at = microseconds(review.question.as_of)
    look = Look(as_of=at, since=microseconds(review.question.since))
    feeds = known_feeds(load_scorer(small_artifact), read_record(events, at))

    listed, _ = flared_shard(small_artifact, read_events(events), look, feeds)

    assert {row.deal.deal_id: {f.phrase for f in row.flares} for row in review.flared} == {
        deal.deal_id: {flare.phrase for flare in deal.flares} for deal in listed
    }
    assert {row.deal.deal_id for row in review.flared if row.new_flares} == {
        deal.deal_id for deal in listed if deal.is_new
    }


def shown_numbers(html: str, ids: str) -> list[list[float]]:
    """The first number of each row of the tables whose id matches, as a reader sees it."""
    tables = re.findall(rf'aria-labelledby="{ids}">(.*?)</table>', html, re.DOTALL)
    cells = r'<tr[^>]*><th scope="row">.*?</th><td class="number[^"]*">([^<]*)</td>'
    return [
        [float(told.replace(MINUS, "-").replace(",", "")) for told in re.findall(cells, table)]
        for table in tables
    ]


def test_what_makes_and_moves_a_probability_adds_up_as_shown(review: Review, html: str) -> None:
    tables = shown_numbers(html, "page-deal-[0-9]+-(?:drivers|change)")

    assert len(tables) > len(review.pages), "drivers of each deal, and changes"
    for before, *parts, after in tables:
        assert len(parts) > 1
        assert round(before + sum(parts), 6) == after


def test_what_the_quarter_is_made_of_adds_up_as_shown(review: Review, html: str) -> None:
    (won, opened, unopened, total, _last_week), *_ = shown_numbers(html, "parts-0")

    assert won + opened + unopened == total
    assert f"{review.money[0].outlook.won:.0f}" == f"{won:.0f}"


def test_the_page_needs_nothing_beside_itself(html: str) -> None:
    assert "<script" not in html
    assert not re.search(r"(src|href)=\"(?!#)", html)
    assert "url(h" not in html
    assert not re.search(r"\son\w+=", html)


def test_every_link_of_the_page_leads_to_a_place_in_it(html: str) -> None:
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', html)) <= set(ids)


def test_headings_of_tables_say_of_what_and_the_first_link_leads_past_the_head(html: str) -> None:
    assert not re.search(r"<th(?![^>]*\bscope=)[\s>]", html)
    first = re.search(r"<a [^>]*>", html)
    assert first is not None
    assert 'href="#main"' in first[0]
    assert '<main id="main">' in html


def test_whatever_says_a_chance_says_by_when(review: Review, html: str) -> None:
    for row in (row for row in review.flared if row.deal.deal_id in review.pages):
        said = f"{words.percent(row.probability)} by 2026-03-31"
        assert said in html
        assert said in summary(review) or row not in told_flares(review)
        assert "left to 2026-03-31." in words.flare_sentence(row, None, review)
    assert "to be won by 2026-03-31" in html
    assert "--artifact-then" not in html


def test_every_open_deal_stands_in_one_row_with_a_heading(review: Review, html: str) -> None:
    for row in review.rows:
        assert re.search(rf">{row.deal.deal_id}[ <]", html), row.deal.deal_id
    assert html.count('<tr id="deal-') == len(review.rows)


def test_the_numbers_hold_what_the_page_shows(review: Review) -> None:
    (money,) = review.money
    assert money.outlook.forecast is not None
    rows = list(csv.DictReader(StringIO(numbers(review))))
    told = {(r["section"], r["name"], r["figure"]): r["number"] for r in rows}

    total = money.outlook.forecast.whole.total
    assert float(told["quarter", "total", "p10"]) == total.p10
    assert sum(r["section"] == "deal" and r["figure"] == "amount" for r in rows) == len(review.rows)


def moved_bars(review: Review) -> list[int]:
    (money,) = review.money
    assert money.bridge is not None
    return [value for value in money.bridge.bars.values() if value]


def test_the_mail_has_the_summary_and_the_page_attached(review: Review, html: str) -> None:
    read = message_from_bytes(mail(review, html), policy=policy.default)
    body, attached = read.get_body(("plain",)), list(read.iter_attachments())
    letter = read.get_body(("html",))
    (money,) = review.money

    assert body is not None
    assert letter is not None
    told = unescape(letter.get_content())
    expected = words.lead(money, review).removeprefix("Expected ").partition(";")[0]
    assert read["Subject"] == (
        f"Forecast review 2026-W03: {expected} expected, {len(review.flared)} red flares"
    )
    for said in (words.lead(money, review), *(words.cents(value) for value in moved_bars(review))):
        assert said in unescape(html)
        assert said in body.get_content()
        assert said in told
    for row in review.flared[:3]:
        sentence = words.flare_sentence(row, review.pages[row.deal.deal_id], review)
        assert sentence in unescape(html)
        assert sentence in body.get_content()
        assert sentence in told
    assert "<script" not in told
    assert "<style" not in told
    assert "Since last week:" in body.get_content()
    assert attached[0].get_filename() == "review-2026-W03.html"
    assert attached[0].get_content() == html


def test_without_a_model_the_page_says_how_to_get_one(events: Path) -> None:
    found = reviewed(events, None, asked())

    assert "Train one with redflare train" in page(found)
    assert all(row.probability is None for row in found.rows)


def test_a_flared_deal_without_a_number_is_told_with_its_reason(
    events: Path, small_artifact: Path
) -> None:
    found = reviewed(events, small_artifact, asked())
    row = replace(found.flared[0], probability=None, model_probability=None, quality="too new")

    shown = page(replace(found, flared=[row], pages={}))

    assert "The first 0" not in shown
    assert "no number: too new" in shown
    assert row.flares[0].phrase[1:] in unescape(shown)


def test_a_quarter_that_is_over_shows_what_it_came_to(events: Path, small_artifact: Path) -> None:
    found = reviewed(events, small_artifact, asked(close_by=date(2025, 12, 31)))

    shown = page(found)
    assert "The quarter ended on 2025-12-31" in shown
    assert "The quarter is over: its deals have come to what stands above." in shown
    assert "Without probabilities" not in shown
    assert found.money[0].outlook.won > 0


def test_the_first_week_says_that_there_is_nothing_to_compare(
    events: Path, small_artifact: Path
) -> None:
    found = reviewed(events, small_artifact, asked("2026-W02"))

    shown = page(found)
    assert "There is no forecast of last week to compare with" in shown
    assert "Nothing to compare with" in shown
    assert found.money[0].outlook.forecast is not None


def test_a_last_week_that_the_model_could_not_answer_for_is_left_out_and_said(
    tmp_path: Path, small_artifact: Path
) -> None:
    path = written(tmp_path, *odd_deal("D-1", "EUR"))

    found = reviewed(path, small_artifact, asked(close_by=date(2026, 7, 10)))

    assert found.money[0].bridge is None
    assert "lay further ahead than the model answers" in page(found)


def test_an_empty_pipeline_says_what_to_do(tmp_path: Path, small_artifact: Path) -> None:
    path = written(tmp_path, deal_event("deal_opened", 60.0))

    shown = page(reviewed(path, small_artifact, asked()))

    assert "No deal is known yet" in shown
    assert "The quarter</h2>" not in shown
    assert not re.search(r"</h[1-6]>\s*</section>", shown), "no heading stands alone"


def test_deals_of_which_nothing_is_known_are_said_to_have_no_number(
    tmp_path: Path, small_artifact: Path
) -> None:
    path = written(
        tmp_path,
        *(deal_event("deal_opened", 1.0, deal_id=f"D-{n}", source="odd") for n in range(3)),
    )

    found = reviewed(path, small_artifact, asked())

    assert "No open deal can be given a probability" in page(found)
    assert found.money[0].outlook.unscorable == 3


def odd_deal(deal_id: str, currency: str) -> list[Event]:
    return [
        deal_event("deal_opened", 0.0, deal_id=deal_id),
        deal_event("currency_changed", 0.0, deal_id=deal_id, name=currency),
        deal_event("amount_changed", 0.0, deal_id=deal_id, number=1_000.0),
        deal_event("close_date_changed", 0.0, deal_id=deal_id, date=date_of(30.0)),
        deal_event("owner_changed", 0.0, deal_id=deal_id, name="<b>ann</b>"),
        deal_event("customer_replied", 5.0, deal_id=deal_id),
    ]


def test_a_milestone_that_was_missed_is_told_from_one_that_was_dropped(
    tmp_path: Path, small_artifact: Path
) -> None:
    names = ("pilot", "security review", "contract", "training")
    told = odd_deal("D-1", "EUR")
    for name in names:
        told.append(deal_event("milestone_set", 0.1, deal_id="D-1", name=name, date=date_of(3.0)))
    for name in names[:2]:
        told.append(deal_event("must_hit_declared", 0.2, deal_id="D-1", name=name))
    for name in names[1:3]:
        told.append(deal_event("milestone_dropped", 1.0, deal_id="D-1", name=name))

    shown = page(reviewed(written(tmp_path, *told), small_artifact, asked()))

    rows = re.findall(
        r'<tr><th scope="row">([^<]*?)(?: <strong>.*?</strong>)?</th>(.*?)</tr>', shown
    )
    states = {name: re.sub("<.*?>", " ", cells).split()[-1] for name, cells in rows}
    assert [states[name] for name in names] == ["missed", "missed", "dropped", "overdue"]
    assert ">dropped, and missed</td>" in shown


def test_texts_of_deals_are_never_markup(tmp_path: Path) -> None:
    path = written(tmp_path, *odd_deal("<script>alert(1)</script>", "EUR"))

    shown = page(reviewed(path, None, asked()))

    assert "<script" not in shown
    assert "<b>ann" not in shown
    assert "&lt;b&gt;ann" in shown


def test_a_text_of_a_deal_is_no_formula_in_the_numbers(tmp_path: Path) -> None:
    path = written(tmp_path, *odd_deal("=1+1", "@USD"))

    assert ",'@USD,'=1+1," in numbers(reviewed(path, None, asked()))


def test_currencies_are_kept_apart_and_said_until_rates_are_given(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        *odd_deal("D-1", "EUR"),
        *odd_deal("D-2", "USD"),
        deal_event("deal_won", 6.0, deal_id="D-1"),
        deal_event("deal_won", 6.0, deal_id="D-2"),
    )

    apart = reviewed(path, None, asked())
    rates = Rates(reporting="EUR", worth={"USD": 0.5})
    together = reviewed(path, None, asked(rates=rates))

    assert [money.outlook.won for money in apart.money] == [1_000.0, 1_000.0]
    assert "several currencies (EUR, USD)" in page(apart)
    assert [money.outlook.won for money in together.money] == [1_500.0]
    assert "EUR" in summary(together)


def test_a_target_is_held_against_all_deals_in_one_currency_alone(
    gathered: Gathered, review: Review, events: Path, small_artifact: Path
) -> None:
    table = read_events(events)
    deals = pc.unique(table["deal_id"]).sort()
    late = table.filter(pc.is_in(table["deal_id"], deals.slice(560)))
    latest = pc.is_in(late["deal_id"], deals.slice(580))
    untold = pc.and_(latest, pc.equal(late["kind"], "currency_changed"))
    write_events(late.filter(pc.invert(untold)), events.with_name("two.parquet"))

    whole = review
    mine = review_of(gathered, Choice(owner=whole.rows[0].deal.owner))
    question = asked(target=1_000_000.0)
    apart = review_of(gathered_of(events.with_name("two.parquet"), small_artifact, question))

    assert [money.target for money in whole.money] == [1_000_000.0]
    assert whole.money[0].reach is not None
    assert len(apart.money) == 2
    for made, reason in ((mine, "only some are shown"), (apart, "the deals are in several")):
        assert all(money.target is money.reach is None for money in made.money)
        assert any("The target is of" in note and reason in note for note in made.notes)
        assert "Reach 1,000,000" not in page(made)
        assert "target 1M" not in page(made)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("reporting = 'EUR'", "without reporting or rates"),
        ("reporting = 'EUR'\n[rates]\nUSD = -1", "a number above 0"),
        ("reporting =", "a TOML file of rates"),
    ],
)
def test_rates_that_cannot_be_used_are_refused(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "rates.toml"
    path.write_text(text)

    with pytest.raises(ScoreError, match=reason):
        read_rates(path)


def test_the_command_writes_page_numbers_and_mail(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, *odd_deal("D-1", "EUR"), deal_event("deal_won", 6.5))
    week = ("--week", "2026-W03", "--close-by", "2026-03-31")

    assert main(["review", f"{path}", *week, "--out", f"{tmp_path / 'r.html'}"]) == 0
    mailed = ("--out", f"{tmp_path / 'r.csv'}", "--mail", f"{tmp_path / 'r.eml'}")
    assert main(["review", f"{path}", *week, *mailed]) == 0
    assert main(["review", f"{path}", *week]) == 0

    assert (tmp_path / "r.html").read_text().startswith("<!doctype html>")
    assert (tmp_path / "r.csv").read_text().startswith("section,currency,name,figure")
    assert (tmp_path / "r.eml").read_bytes().startswith(b"Subject: Forecast review 2026-W03")
    assert "1,000 EUR won in 1 deal" in capsys.readouterr().out
    assert day(6.5) < week_begin("2026-W03")


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (("--week", "2026-03"), "week '2026-03': expected a week of ISO 8601"),
        (("--week", "2026-W60"), "week '2026-W60'"),
        (("--out", "r.pdf"), "a name ending in .html, .csv or .xlsx"),
        (("--mail", "r.txt"), "a name ending in .eml"),
        (("--database", "sqlite:///r.db"), "both EVENTS and --database"),
        (("--artifact-then", "a"), "--artifact-then without --artifact"),
    ],
)
def test_what_cannot_be_reviewed_is_refused_with_the_reason(
    tmp_path: Path, given: tuple[str, str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, *odd_deal("D-1", "EUR"))
    options = {"--week": "2026-W03", "--close-by": "2026-03-31", given[0]: given[1]}
    spelt = [part for option in options.items() for part in option]

    assert main(["review", f"{path}", *spelt]) == 2
    assert reason in capsys.readouterr().err


def test_a_segment_that_no_deal_has_is_refused_with_the_fields_there_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = deal_event("field_changed", 1.0, deal_id="D-1", name="industry", text="paper")
    path = written(tmp_path, *odd_deal("D-1", "EUR"), told)
    week = ("--week", "2026-W03", "--close-by", "2026-03-31")

    assert main(["review", f"{path}", *week, "--segment", "industry"]) == 0
    assert main(["review", f"{path}", *week, "--segment", "nosuch"]) == 2
    assert (
        "--segment nosuch, a field that no deal has: expected a field of text, such as industry. "
        "Remedy: name one of these, or leave --segment out" in capsys.readouterr().err
    )


def read_workbook(content: bytes) -> Workbook:
    return load_workbook(BytesIO(content))


def test_the_workbook_has_the_page_s_numbers_as_numbers(review: Review) -> None:
    book = read_workbook(workbook(review))
    header, *rows = book["Deals"].iter_rows(values_only=True)
    (money,) = review.money
    assert money.bridge is not None

    assert book.sheetnames == ["Quarter", "Bridge", "Moves", "Deals", "Past"]
    assert [row[0] for row in rows] == [row.deal.deal_id for row in review.rows]
    told = [row[header.index("probability by 2026-03-31")] for row in rows]
    assert told == pytest.approx([row.probability for row in review.rows])
    bridge = {row[1]: row[2] for row in book["Bridge"].iter_rows(min_row=2, values_only=True)}
    assert bridge["this week"] == pytest.approx(money.bridge.after / 100)
    deals = book["Deals"]
    assert deals["C2"].number_format == '#,##0 "EUR"'
    assert deals["D2"].number_format == "0.0%"
    close_dates = [row[header.index("close date")] for row in rows]
    assert all(told is None or isinstance(told, datetime) for told in close_dates)
    assert [sheet.freeze_panes for sheet in book] == ["B2"] * 5
    quarter = {row[2]: row for row in book["Quarter"].iter_rows(min_row=2, values_only=True)}
    assert money.outlook.forecast is not None
    assert quarter["total"][5] == pytest.approx(money.outlook.forecast.whole.total.p10)
    assert quarter["target"][8] == pytest.approx(money.reach)


def test_a_text_of_a_deal_is_no_formula_in_the_workbook(tmp_path: Path) -> None:
    path = written(tmp_path, *odd_deal("=1+1", "EUR"))
    cell = read_workbook(workbook(reviewed(path, None, asked())))["Deals"]["A2"]

    assert (cell.value, cell.data_type) == ("=1+1", "s")


def test_past_forecasts_stand_beside_what_came_and_hindsight_is_said(
    review: Review, html: str
) -> None:
    (money,) = review.money
    cut_off = review.scorer.known_before if review.scorer is not None else 0

    assert len(money.past.quarters) == 4
    for past in (*money.past.quarters, *money.past.weeks):
        assert past.total is not None
        assert past.hindsight == (past.moment.as_of < cut_off)
        assert past.held == (past.total.p10 <= past.won <= past.total.p90)
    assert [week.hindsight for week in money.past.weeks][:2] == [False, True]
    assert "(hindsight)" in html


def test_past_moments_are_scored_by_the_model_in_force_then_and_reliability_leaves_out_hindsight(
    events: Path, small_artifact: Path, review: Review, html: str
) -> None:
    now = load_scorer(small_artifact)
    facts = {**now.artifact.facts, "known_before": "2024-01-01T00:00:00+00:00"}
    shrunk = replace(now.artifact, facts=facts, calibration=surer(now.artifact.calibration))
    earlier = Scorer(shrunk)
    question = review.question
    looks = moments(question, microseconds(question.as_of))
    (hindsight,) = [moment for moment in looks if moment.kind == "quarter"][-1:]
    past = {moment.as_of: earlier for moment in looks if moment is not hindsight}

    made = review_of(gathered_of(events, None, question, Models(now=now, past=past)))

    (was,), (money,) = review.money, made.money
    for kind in ("quarters", "weeks"):
        for by_now, by_then in zip(getattr(was.past, kind), getattr(money.past, kind), strict=True):
            same = by_then.moment == hindsight
            assert by_then.hindsight is same
            assert (by_then.total == by_now.total) is same
    assert not was.past.reliability
    assert "it would be hindsight" in html
    opened = sum(record.deals for record in money.past.categories)
    assert 0 < sum(each.deals for each in money.past.reliability) < opened
    assert all(0 <= each.won <= 1 for each in money.past.reliability)
    assert len(made.trend_weeks) == TREND_WEEKS


def surer(calibration: Calibration) -> Calibration:
    """One that calls every deal likelier, so that it is told from the other."""
    return replace(calibration, intercepts=calibration.intercepts + 1.0)


def test_what_past_forecasts_of_one_owner_came_to_counts_no_deal_opened_later(
    gathered: Gathered, review: Review
) -> None:
    owner = review.rows[0].deal.owner
    mine = review_of(gathered, Choice(owner=owner)).money[0].past
    deals = [deal for deal in gathered.now.deals if deal.owner == owner and deal.status == "won"]

    fewer = 0
    for past in (*mine.quarters, *mine.weeks):
        moment = past.moment
        won = [deal for deal in deals if moment.period.holds(deal.closed_us or 0)]
        known = [deal for deal in won if deal.opened_us <= moment.as_of]
        assert past.won == pytest.approx(sum(deal.amount or 0.0 for deal in known))
        fewer += len(known) < len(won)
    assert fewer


def test_a_rep_is_called_surer_by_that_rep_s_own_record(review: Review) -> None:
    for row in review.rows:
        assert row.said is not None
        gap = row.said - (row.probability or 0.0)
        assert (row.disagreement == "") == (abs(gap) < DISAGREES)


def test_the_command_reviews_a_database_by_the_model_in_force(
    reviewed_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    week = ("--week", "2026-W03", "--close-by", "2026-03-31")
    out = tmp_path / "review.xlsx"

    assert main(["review", "--database", reviewed_url, *week, "--out", f"{out}"]) == 0
    rows = list(read_workbook(out.read_bytes())["Deals"].iter_rows(min_row=2, values_only=True))

    assert len(rows) > 20
    assert all(row[3] is not None for row in rows)
    assert capsys.readouterr().out.strip() == f"{out}"


DESTINATION = """
[destinations.meeting]
kind = "mail"
host = "127.0.0.1"
port = {port}
security = "none"
from = "redflare@example.com"
to = ["lead@example.com", "ann@example.com"]
"""


def test_the_command_mails_the_review_by_a_destination(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, *odd_deal("D-1", "EUR"), deal_event("deal_won", 6.5))
    week = ("--week", "2026-W03", "--close-by", "2026-03-31")
    named = tmp_path / "destinations.toml"
    monkeypatch.setenv("REDFLARE_DESTINATIONS", f"{named}")
    monkeypatch.setenv("REDFLARE_ALLOWED_PLACES", "127.0.0.1")

    with mail_serving(MailServer()) as server:
        named.write_text(DESTINATION.format(port=server.port))
        assert main(["review", f"{path}", *week, "--mail", "meeting"]) == 0
    assert main(["review", f"{path}", *week, "--mail", "meeting"]) == 2  # the server is gone
    assert main(["review", f"{path}", *week, "--mail", "nobody"]) == 2

    (got,) = server.got
    assert server.recipients == [["lead@example.com", "ann@example.com"]]
    assert got["Subject"] == "Forecast review 2026-W03"
    assert got["X-Unsent"] is None
    assert [part.get_filename() for part in got.iter_attachments()] == ["review-2026-W03.html"]
    told = capsys.readouterr()
    assert "mailed to lead@example.com, ann@example.com" in told.out
    assert f"the mail server 127.0.0.1:{server.port}" in told.err
    assert "a destination of kind mail: meeting" in told.err
