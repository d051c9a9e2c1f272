"""What the API asks and answers about deliveries, and of what is written by it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from service.deal_forms import LISTED, MOST_LISTED, Name, Query
from service.forms import Form
from service.storage.inbox import State

MOST_NUMBER = 2**63 - 1


class InboxQuery(Query):
    """Which deliveries."""

    state: State | None = Field(
        None, description="Received, done, failed, or superseded by a corrected one."
    )
    source: Name | None = Field(None, description="Of a source; /v1 is what the API was told.")
    before: int | None = Field(
        None, ge=1, le=MOST_NUMBER, description="With a smaller number: what the answer calls next."
    )
    limit: int = Field(LISTED, ge=1, le=MOST_LISTED, description="At most so many on the page.")


class DeliveryForm(Form):
    """One delivery, and what became of it."""

    id: int = Field(description="Its number.")
    source: str = Field(description="Who told it.")
    kind: str = Field(description="Whose format it has.")
    dedupe_key: str = Field(description="The same for every redelivery.")
    received_at: datetime = Field(description="When it came.")
    state: State = Field(
        description="Received until it is worked on, then done or failed; superseded where a "
        "corrected one came after it failed."
    )
    reason: str | None = Field(description="Why it failed.")
    notes: list[str] = Field(description="What its payload could not tell.")
    events: int | None = Field(description="How many of its events were new; null before.")
    finished_at: datetime | None = Field(description="When it was worked on.")


class ShownForm(DeliveryForm):
    """One delivery whole."""

    headers: dict[str, str] = Field(description="Without their secrets.")
    body: str = Field(description="As text; bytes that are none are escaped.")


class InboxAnswer(Form):
    """A page of deliveries."""

    deliveries: list[DeliveryForm] = Field(description="The latest first.")
    counts: dict[State, int] = Field(description="Of all deliveries, by state.")
    next: int | None = Field(description="Asks for the next page, as before; null on the last.")


class RetryAnswer(Form):
    """A delivery that waits for the worker again."""

    id: int = Field(description="Its number.")
    state: Literal["received"] = Field(description="How it is now.")


class ReceiptAnswer(Form):
    """What is written is kept, and will be worked on."""

    delivery: int = Field(description="Its number in the inbox: the same where it came before.")
    received_at: datetime = Field(description="When it was kept first.")
