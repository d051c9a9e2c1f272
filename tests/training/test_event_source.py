"""Events from a path or an address, and what is told where they cannot be fetched."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from model.errors import EventError
from model.event_table import read_events, write_events
from tests.training.companies import deals_table
from training.candidate import waiting
from training.event_source import event_file


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Where a web server gives the events of a small company."""
    write_events(deals_table(20), tmp_path / "events.parquet")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_events_are_read_from_a_path_a_web_server_and_a_store_alike(
    address: str, tmp_path: Path
) -> None:
    plain = tmp_path / "events.parquet"
    for place in (str(plain), f"http://{address}/events.parquet", plain.as_uri()):
        with event_file(place) as path:
            assert read_events(path).equals(read_events(plain))
    assert path != plain
    assert not path.exists()


def test_what_cannot_be_fetched_is_told_without_its_secrets(address: str) -> None:
    places = {
        f"http://ann:secret@{address}/none.parquet?key=secret": f"http://{address}/none.parquet",
        "s5://bucket/events.parquet": "s5://bucket/events.parquet",
        "http://127.0.0.1:1/events.parquet": "http://127.0.0.1:1/events.parquet",
    }
    for place, told in places.items():
        with pytest.raises(EventError) as refused, event_file(place):
            pass
        assert str(refused.value).startswith(f"{told}, which cannot be fetched")
        assert "secret" not in str(refused.value)


def test_a_candidate_left_behind_is_named_and_an_unfinished_one_cleared(tmp_path: Path) -> None:
    left = tmp_path / "m-1"
    left.mkdir()
    (left / "candidate.json").write_text("{}")
    (tmp_path / ".m-2.part" / "artifact").mkdir(parents=True)

    assert waiting(tmp_path) == [left]
    assert [path.name for path in tmp_path.iterdir()] == ["m-1"]
