"""Deliveries over the API: listed, shown whole, and put back for the worker."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path
from fastapi import Query as InQuery
from fastapi.responses import Response

from service.access import Access, needs
from service.company import Company
from service.deal_routes import answered
from service.inbox_forms import MOST_NUMBER, InboxAnswer, InboxQuery, RetryAnswer, ShownForm
from service.problems import FORBIDDEN, NOT_FAILED, NOT_FOUND, Refused, refused
from service.storage import inbox
from service.storage.errors import StorageError

DELIVERY: Final = "/v1/inbox/{number}"
Administering = Annotated[Access, Depends(needs("admin"))]
Number = Annotated[int, Path(ge=1, le=MOST_NUMBER, description="The delivery's.")]


def inbox_routes(company: Company) -> APIRouter:
    """The routes, for keys of scope ``admin`` that see all owners' deals.

    Parameters
    ----------
    company
        Whose deliveries they are.
    """
    router = APIRouter()

    @router.get(
        "/v1/inbox",
        summary="Deliveries, page by page",
        operation_id="inbox",
        response_model=InboxAnswer,
    )
    def listed(access: Administering, query: Annotated[InboxQuery, InQuery()]) -> Response:
        _check_all(access)
        with company.database.reading() as connection:
            found = inbox.listed(
                connection,
                query.state,
                source=query.source,
                before=query.before,
                most=query.limit + 1,
            )
            counts = inbox.counts(connection)
        page = found[: query.limit]
        return answered(
            {
                "deliveries": [each.to_json() for each in page],
                "counts": counts,
                "next": page[-1].id if len(found) > len(page) else None,
            }
        )

    @router.get(
        DELIVERY,
        summary="One delivery whole",
        operation_id="delivery",
        response_model=ShownForm,
    )
    def shown(access: Administering, number: Number) -> Response:
        _check_all(access)
        with company.database.reading() as connection:
            try:
                found = inbox.find(connection, number)
            except StorageError as error:
                raise _no_delivery(number) from error
        return answered(
            found.to_json()
            | {
                "headers": dict(found.delivery.headers),
                "body": found.delivery.body.decode("utf-8", "backslashreplace"),
            }
        )

    @router.post(
        f"{DELIVERY}/retry",
        summary="Work again on a delivery that failed, or after a mapping was mended",
        operation_id="retry",
        response_model=RetryAnswer,
    )
    def retry(access: Administering, number: Number) -> Response:
        _check_all(access)
        with company.database.writing() as connection:
            try:
                found = inbox.find(connection, number)
            except StorageError as error:
                raise _no_delivery(number) from error
            if found.state == "done" and not found.delivery.body:
                raise refused(
                    NOT_FAILED,
                    f"delivery {number}, which is done and without its body",
                    "one that failed, or whose body is kept",
                    "leave it: nothing is left to do",
                )
            inbox.retry(connection, [number])
        return answered({"id": number, "state": "received"})

    return router


def _check_all(access: Access) -> None:
    if access.owners is not None:
        raise refused(
            FORBIDDEN,
            "a key that is bound to owners",
            "one that sees all deals",
            "make one with redflare keys create TITLE --scope admin",
        )


def _no_delivery(number: int) -> Refused:
    return refused(
        NOT_FOUND, f"delivery {number}", "one of the inbox", "see them with GET /v1/inbox"
    )
