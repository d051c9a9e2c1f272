"""A worker that is killed with SIGKILL at a step, and what must be true of the database afterwards.

It works on a database until it has passed so many steps, and then ends itself as abruptly as a
process can end: nothing is flushed, nothing is undone. Each is forked from a process that has
imported all that it needs and opened nothing.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from service.model_in_force import ModelInForce
from service.processing import Processor
from service.rescoring import Policy
from service.sending import Sending
from service.storage.database import open_database
from service.storage.group_commit import InboxWriter
from service.webhooks.delivery import Delivery
from service.writeback.entry import Entry, Sent
from tests.service.deliveries import RECEIVER, SOURCE

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload([__name__, "model.sources.persons"])


class Told:
    """Appends each entry that it is sent to a file, whole lines at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def send(self, entry: Entry, _now: datetime) -> Sent:
        with self._path.open("a") as file:
            file.write(f"{entry.id} {entry.deal_id}\n")
        return Sent(status=200)


def killing_after(steps: int, names: Sequence[str] = ()) -> Callable[[str], None]:
    """Ends the process at the so-manieth step of these names; of any, if none are given."""
    left = [steps]

    def step(name: str) -> None:
        if names and name not in names:
            return
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return step


def work(plan: dict[str, object]) -> None:
    """Take the deliveries that wait outside, and work until there is nothing left, or killed."""
    database = open_database(str(plan["url"]))
    now = datetime.fromisoformat(str(plan["now"]))
    step = killing_after(int(str(plan["steps"])), [str(name) for name in plan["names"]])  # type: ignore[union-attr]
    models = ModelInForce(database)
    models.refresh()
    acknowledged = Path(str(plan["acknowledged"]))
    policy = Policy(destinations={"crm": ()})
    processor = Processor(database, {SOURCE: RECEIVER}, models, policy, lambda: now, step)
    sending = Sending(database, {"crm": Told(Path(str(plan["told"])))}, lambda: now, step)
    writer = InboxWriter(database)
    given = json.loads(Path(str(plan["deliveries"])).read_text())
    known = set(acknowledged.read_text().split()) if acknowledged.exists() else set()
    answers = []
    for key, body in given:
        if key not in known:
            delivery = Delivery(
                source=SOURCE,
                kind="standard",
                dedupe_key=key,
                received_at=now,
                headers={"webhook-id": key},
                body=body.encode(),
            )
            answers.append((key, writer.submit(delivery)))
    for key, answer in answers:
        answer.result()
        step("kept")
        with acknowledged.open("a") as file:
            file.write(f"{key}\n")
        step("acknowledged")
        processor.work()
        sending.send()
    while processor.work() or sending.send():
        pass
    writer.close()
    database.close()


def run(plan: dict[str, object]) -> int:
    """Work in another process; its exit status, negative where it was killed."""
    process = SERVER.Process(target=work, args=(plan,))
    process.start()
    process.join()
    code = process.exitcode
    assert code in (0, -signal.SIGKILL), code
    return int(code)
