"""Deliveries that Redflare made itself of records that it fetched."""

from __future__ import annotations

from typing import Final

from service.webhooks.delivery import Delivery
from service.webhooks.mapped import Json, decoded, objects

FETCHED: Final = "x-redflare-fetched"  # the header that says so, with the record's id


def fetched_record(delivery: Delivery) -> Json | None:
    """The record that a delivery holds; None of one that a source sent.

    Raises
    ------
    Untranslatable
        If it is no record.
    """
    if FETCHED not in delivery.headers:
        return None
    return dict(objects(decoded(delivery), 1, "records")[0])
