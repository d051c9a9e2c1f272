"""Where each kind of change carries its value."""

from __future__ import annotations

from typing import Final

# Where the value of a changed field goes; field_changed says which field, so it has its own rule.
CARRIERS: Final = {
    "pipeline_changed": "name",
    "stage_changed": "name",
    "amount_changed": "number",
    "currency_changed": "name",
    "close_date_changed": "date",
    "forecast_category_changed": "name",
    "owner_changed": "name",
    "account_changed": "name",
    "next_step_changed": "text",
    "competitor_named": "name",
    "field_changed": "text",
}
