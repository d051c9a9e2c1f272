"""What takes long is answered in a thread, in which it holds up nobody."""

from __future__ import annotations

import json
import threading
from datetime import datetime
from typing import Any

import anyio
import pytest

from model.errors import RedflareError
from model.events import Event
from model.scorer import Scorer
from service.api import ScoreEndpoint, WhatIfEndpoint
from service.problems import Refused
from service.settings import Settings
from tests.service.requests import AS_OF, request_json

EVENT = Event(
    deal_id="D-1", kind="deal_opened", occurred_at=AS_OF, source="crm", source_id="D-1/opened"
)
EARLIER = datetime(2026, 1, 1).astimezone().isoformat()


@pytest.mark.parametrize(
    ("kind", "name", "is_in_thread"),
    [
        (ScoreEndpoint, None, False),
        (ScoreEndpoint, "since", True),
        (ScoreEndpoint, "sin\\u0063e", True),
        (WhatIfEndpoint, None, True),
    ],
)
def test_a_change_and_a_what_if_are_answered_in_a_thread_however_short_their_question(
    kind: type[ScoreEndpoint], name: str | None, is_in_thread: bool
) -> None:
    threads: list[threading.Thread] = []

    def in_force() -> Scorer:
        threads.append(threading.current_thread())
        raise RedflareError("a model", "another", "none")

    form: dict[str, Any] = request_json([EVENT])
    if kind is WhatIfEndpoint:
        form["best"] = 3
    body = json.dumps(form | ({"NAME": EARLIER} if name else {}))
    endpoint = kind(settings=Settings(), in_force=in_force, clock=lambda: AS_OF)
    with pytest.raises(Refused):
        anyio.run(endpoint.respond, {}, body.replace("NAME", name or "").encode())

    assert [each is not threading.main_thread() for each in threads] == [is_in_thread]
