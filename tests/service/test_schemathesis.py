"""The whole OpenAPI document against a running service: no fault, nothing undocumented.

Few and seeded here; ``REDFLARE_SCHEMATHESIS_EXAMPLES=200`` looks longer.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from model.events import Event
from model.scorer import Scorer
from service.storage.database import open_database
from tests.service.house import House, listening

EXAMPLES = int(os.environ.get("REDFLARE_SCHEMATHESIS_EXAMPLES", "4"))
CHECKS: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
    allow_header_conformance,
]
DEALS = 3
DOCUMENT = json.loads(
    (Path(__file__).parents[2] / "service" / "openapi.json").read_text(encoding="utf-8")
)
schema = schemathesis.openapi.from_dict(DOCUMENT)
schema.config.phases.coverage.enabled = EXAMPLES > 100


@pytest.fixture(scope="module")
def house(
    scorer: Scorer,
    open_deals: list[list[Event]],
    sqlite_template: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[House]:
    path = tmp_path_factory.mktemp("house") / "redflare.db"
    shutil.copy(sqlite_template, path)
    database = open_database(f"sqlite:///{path}")
    own = House(database, scorer)
    own.tell(*open_deals[:DEALS])
    yield own
    own.close()
    database.close()


@pytest.fixture(scope="module")
def url(house: House) -> Iterator[str]:
    with listening(house.app) as where:
        yield where


@pytest.fixture(scope="module")
def key(house: House) -> dict[str, str]:
    return house.key("admin")


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_a_documented_one(
    case: Case, url: str, key: dict[str, str], open_deals: list[list[Event]]
) -> None:
    if "deal_id" in case.path_parameters and len(case.path_parameters["deal_id"]) % 2:
        case.path_parameters["deal_id"] = open_deals[0][0].deal_id  # one that is there
    if case.path == "/v1/inbox/{number}":
        case.path_parameters["number"] = min(case.path_parameters["number"], DEALS)
    case.call_and_validate(base_url=url, headers=key, checks=CHECKS)


def test_what_was_told_meanwhile_is_worked_on_without_a_fault(
    house: House, url: str, key: dict[str, str]
) -> None:
    house.work()

    failed = httpx.get(f"{url}/v1/inbox?state=failed", headers=key).json()["deliveries"]
    assert [each["reason"] for each in failed if "fault of Redflare" in each["reason"]] == []
