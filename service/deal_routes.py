"""The deals that the service keeps: listed, looked at one by one, forecast together."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Depends, Path
from fastapi import Query as InQuery
from fastapi.responses import Response
from starlette.convertors import Convertor, register_url_convertor

from model.errors import RedflareError
from model.events import EPOCH_DAY, from_microseconds
from model.red_flare import RedFlare
from service.access import Access, needs
from service.company import Company
from service.cursor import cursor_of, place_of
from service.deal_forms import (
    DealAnswer,
    DealQuery,
    DealsAnswer,
    DealsQuery,
    ForecastAnswer,
    ForecastQuery,
    MilestonesAnswer,
    ModelsAnswer,
    PageQuery,
    ScoresAnswer,
)
from service.forecasting import Forecasting
from service.milestones import milestones
from service.problems import Problem, Refused, refused_by
from service.scoring import score_question
from service.storage import flares, listing, models, scores
from service.storage.listing import Choice, Place
from service.storage.rows import AnyRow
from service.wire import ScoreQuestion


class DealConvertor(Convertor[str]):
    """An id of a deal in a path: slashes may be in it, where it does not end as a route does."""

    regex = r"(?:(?!/(?:milestones|scores|what-if)$)(?s:.))+"

    def convert(self, value: str) -> str:
        """The id, as it is."""
        return value

    def to_string(self, value: str) -> str:
        """The id, as it is."""
        return value


register_url_convertor("deal", DealConvertor())
DEAL: Final = "/v1/deals/{deal_id:deal}"
DealId = Annotated[str, Path(min_length=1, description="The deal, as its CRM names it.")]
Reading = Annotated[Access, Depends(needs("read"))]


def deal_routes(company: Company) -> APIRouter:
    """The routes that read.

    Parameters
    ----------
    company
        Whose deals they are.
    """
    router = APIRouter()
    forecasting = Forecasting(company)

    @router.get(
        "/v1/deals",
        summary="Deals, page by page",
        operation_id="deals",
        response_model=DealsAnswer,
    )
    def deals(access: Reading, query: Annotated[DealsQuery, InQuery()]) -> Response:
        return answered(_deals(company, access, query))

    @router.get(
        f"{DEAL}/scores",
        summary="The scores that a deal was given",
        operation_id="deal-scores",
        response_model=ScoresAnswer,
    )
    def deal_scores(
        access: Reading, deal_id: DealId, query: Annotated[PageQuery, InQuery()]
    ) -> Response:
        return answered(_scores(company, access, deal_id, query))

    @router.get(
        f"{DEAL}/milestones",
        summary="A deal's milestones",
        operation_id="milestones",
        response_model=MilestonesAnswer,
    )
    def deal_milestones(access: Reading, deal_id: DealId) -> Response:
        with company.database.reading() as connection:
            company.deal(connection, deal_id, access)
            events = company.events(connection, deal_id)
        found = milestones(events, company.clock())
        return answered({"milestones": [each.to_json() for each in found]})

    @router.get(
        DEAL,
        summary="One deal and its score",
        operation_id="deal",
        response_model=DealAnswer,
    )
    def deal(access: Reading, deal_id: DealId, query: Annotated[DealQuery, InQuery()]) -> Response:
        return answered(_deal(company, access, deal_id, query))

    @router.get(
        "/v1/forecast",
        summary="What a quarter may come to",
        operation_id="forecast",
        response_model=ForecastAnswer,
    )
    async def forecast(access: Reading, query: Annotated[ForecastQuery, InQuery()]) -> Response:
        return answered(await forecasting.answer(access, query))

    @router.get(
        "/v1/models",
        summary="The models that are kept",
        operation_id="models",
        response_model=ModelsAnswer,
    )
    def kept_models(_access: Reading) -> Response:
        with company.database.reading() as connection:
            found = models.listed(connection)
        return answered({"models": [each.to_json() for each in found]})

    return router


def answered(value: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """An answer of JSON."""
    own = {"cache-control": "no-store", **(headers or {})}
    return Response(orjson.dumps(value), status, own, "application/json")


def _deals(company: Company, access: Access, query: DealsQuery) -> dict[str, object]:
    after = None
    if query.after is not None:
        deal_id, shown = place_of(query.after, str, (float, int, type(None)))
        after = Place(deal_id=str(deal_id), probability=shown)  # type: ignore[arg-type] # checked
    choice = Choice(
        state=query.state,
        seen=access.owners,
        owners=query.owner,
        stage=query.stage,
        verdict=query.verdict,
        below=query.below,
        flagged=query.flagged,
        closes_from=_day(query.closes_from),
        closes_until=_day(query.closes_until),
    )
    with company.database.reading() as connection:
        found = listing.listed(connection, choice, query.order, after=after, most=query.limit + 1)
        rows = found[: query.limit]
        flared = flares.standing_of(connection, [row.deal_id for row in rows])
    more = None
    if len(found) > len(rows):
        more = cursor_of(rows[-1].deal_id, rows[-1].shown_probability)
    return {
        "deals": [deal_json(row, flared.get(row.deal_id, ())) for row in rows],
        "next": more,
    }


def _deal(company: Company, access: Access, deal_id: str, query: DealQuery) -> dict[str, object]:
    asks_now = query.close_by is not None or query.days is not None
    with company.database.reading() as connection:
        row = company.deal(connection, deal_id, access)
        standing = flares.standing(connection, deal_id)
        score: Any = None
        if asks_now:
            events, heard = company.events(connection, deal_id), company.heard(connection)
        elif row.score_id is not None:
            last = scores.answer(connection, row.score_id)
            score = None if last is None else orjson.Fragment(last)
    if asks_now:
        question = ScoreQuestion(
            events=events,
            as_of=None,
            close_by=query.close_by,
            days=query.days,
            since=query.since,
            feeds=heard,
            hindsight=False,
            drivers=query.drivers,
        )
        try:
            score = score_question(company.in_force(), question, company.clock())
        except Refused as refusal:
            raise without_pointer(refusal) from refusal
        except RedflareError as error:
            raise refused_by(error) from error
    return {"deal": deal_json(row, standing), "score": score}


def without_pointer(refusal: Refused) -> Refused:
    """The same refusal where there is no body to point into."""
    problem = refusal.problem
    return Refused(Problem(kind=problem.kind, detail=problem.detail, headers=problem.headers))


def _scores(company: Company, access: Access, deal_id: str, query: PageQuery) -> dict[str, object]:
    before = None
    if query.after is not None:
        as_of, number = place_of(query.after, int, int)
        before = (int(as_of), int(number))  # type: ignore[call-overload] # checked
    with company.database.reading() as connection:
        company.deal(connection, deal_id, access)
        found = scores.page(connection, deal_id, before=before, most=query.limit + 1)
    rows = found[: query.limit]
    more = cursor_of(rows[-1].as_of, rows[-1].id) if len(found) > len(rows) else None
    return {"scores": [_score_json(row) for row in rows], "next": more}


def deal_json(row: AnyRow, standing: tuple[RedFlare, ...]) -> dict[str, object]:
    """How a deal stands, in a form that JSON can hold."""
    return {
        "deal_id": row.deal_id,
        "is_open": row.is_open,
        "owner": row.owner,
        "account": row.account,
        "pipeline": row.pipeline,
        "stage": row.stage,
        "currency": row.currency,
        "amount": row.amount,
        "close_date": None if row.close_date is None else EPOCH_DAY + timedelta(row.close_date),
        "opened_at": _time(row.opened_at),
        "known_at": _time(row.known_at),
        "scored_as_of": _time(row.scored_as_of),
        "probability": row.probability,
        "shown_probability": row.shown_probability,
        "verdict": row.verdict,
        "flares": [
            {
                "rule": flare.rule,
                "subject": flare.subject,
                "since": _time(flare.since),
                "phrase": flare.phrase,
            }
            for flare in standing
        ],
    }


def _score_json(row: AnyRow) -> dict[str, object]:
    return {
        "as_of": _time(row.as_of),
        "made_at": _time(row.made_at),
        "cause": row.cause,
        "days": row.days,
        "probability": row.probability,
        "shown_probability": row.shown_probability,
        "model_version": row.model_version,
    }


def _time(value: int | None) -> str | None:
    return None if value is None else from_microseconds(value).isoformat()


def _day(value: date | None) -> int | None:
    return None if value is None else (value - EPOCH_DAY).days
