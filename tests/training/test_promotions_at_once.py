"""Two that promote at the same moment: on one machine in turns, on two so that one is told."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace
from typing import Any

import pytest

from tests.training.desks import act
from training import registry as registry_module
from training.audit import Audit
from training.lock import LockedError
from training.registry import CHAMPION, Registry
from training.version import RegistryError, Version

Make = Callable[..., Path]


@pytest.fixture
def both(store: Path, make_candidate: Make) -> tuple[Registry, Registry]:
    """Of one registry, in which version 1 is champion."""
    ours, theirs = Registry(str(store)), Registry(str(store))
    for name in "abc":
        ours.register(make_candidate(name))
    ours.promote(ours.version("1"), act("1", None))
    return ours, theirs


@pytest.fixture
def apart(both: tuple[Registry, Registry], monkeypatch: pytest.MonkeyPatch) -> None:
    """As on two machines, which share no lock."""
    for each in both:
        monkeypatch.setattr(each, "_promoting", nullcontext)


def champion(registry: Registry) -> str | None:
    found = registry.champion()
    return None if found is None else found.number


def test_two_promotions_at_once_take_turns(
    both: tuple[Registry, Registry],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ours, theirs = both
    move = ours._move_champion

    def meanwhile(*asked: Any) -> str:
        with pytest.raises(LockedError, match=r"another promotion, process \d+, is writing"):
            theirs.promote(theirs.version("3"), act("3", "1"))
        assert "mlflow.db: waiting until it is done\n" in capsys.readouterr().err
        return move(*asked)

    monkeypatch.setattr(registry_module, "PROMOTION_SECONDS", 0.1)
    monkeypatch.setattr(registry_module, "TELL_SECONDS", 0.0)
    monkeypatch.setattr(ours, "_move_champion", meanwhile)
    ours.promote(ours.version("2"), act("2", "1"))

    with pytest.raises(RegistryError, match="champion of now, 2"):
        theirs.promote(theirs.version("3"), act("3", "1"))
    assert ours.audit() == [act("1", None), act("2", "1")]


@pytest.mark.usefixtures("apart")
def test_a_machine_that_another_overtakes_is_refused_before_it_moves_the_champion(
    both: tuple[Registry, Registry], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other's entry is one of before to it, and the other's alias comes after its look."""
    ours, theirs = both
    alias, move = theirs._client.set_registered_model_alias, ours._move_champion

    def overtakes(*asked: Any) -> str:
        alias("redflare", CHAMPION, "3")
        return move(*asked)

    def meanwhile(*asked: Any) -> None:
        with pytest.raises(RegistryError, match="champion 1: expected the champion of now, 3"):
            ours.promote(ours.version("2"), act("2", "1"))
        alias(*asked)

    monkeypatch.setattr(ours, "_move_champion", overtakes)
    monkeypatch.setattr(theirs._client, "set_registered_model_alias", meanwhile)
    theirs.promote(theirs.version("3"), act("3", "1"))

    assert champion(ours) == "3"
    # What did not come is not told of as if it had.
    assert ours.audit() == [act("1", None), act("3", "1")]
    assert "promote_at" not in ours.version("2").tags


@pytest.mark.usefixtures("apart")
def test_a_machine_that_overtakes_another_is_told(
    both: tuple[Registry, Registry], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = both
    alias = ours._client.set_registered_model_alias

    def meanwhile(*asked: Any) -> None:
        theirs.promote(theirs.version("3"), act("3", "1"))
        alias(*asked)

    monkeypatch.setattr(ours._client, "set_registered_model_alias", meanwhile)
    with pytest.raises(RegistryError, match="version 2, promoted while another machine promoted"):
        ours.promote(ours.version("2"), act("2", "1"))

    assert champion(ours) == "2"
    assert {each.version for each in ours.audit()} == {"1", "2", "3"}


class Store:
    """What two machines ask of a server, in memory; before each call one may have to wait."""

    def __init__(self) -> None:
        self.aliases = {CHAMPION: "1"}
        self.tags: dict[str, str] = {}

    def asked_by(self, waits: Callable[[int], None]) -> Any:
        calls = iter(range(1_000))

        def call(answer: Callable[..., Any]) -> Callable[..., Any]:
            def asked(*given: Any, **_: Any) -> Any:
                waits(next(calls))
                return answer(*given)

            return asked

        versions = [SimpleNamespace(version=number, run_id="", tags={}) for number in "321"]
        return SimpleNamespace(
            search_model_versions=call(lambda *_: Page(versions)),
            get_registered_model=call(lambda _: SimpleNamespace(aliases=dict(self.aliases))),
            search_registered_models=call(lambda _: [SimpleNamespace(tags=dict(self.tags))]),
            set_registered_model_tag=call(lambda _, key, tag: self.tags.__setitem__(key, tag)),
            delete_registered_model_tag=call(lambda _, key: self.tags.pop(key)),
            set_model_version_tag=call(lambda *_: None),
            set_registered_model_alias=call(lambda _, *set_: self.aliases.update([set_])),
        )


class Page(list[Any]):
    token = None


def is_told(registry: Registry, number: str, store: Store, waits: Callable[[int], None]) -> bool:
    """Whether a machine that promotes a version in place of 1 is told of another."""
    registry._client = store.asked_by(waits)
    registry._audit = Audit(registry._client, "redflare")
    version = Version(number=number, aliases=(), run_id="", tags={})
    try:
        registry.promote(version, act(number, "1"))
    except RegistryError:
        return True
    return False


def told_of(both: tuple[Registry, Registry], ours_at: int, theirs_at: int) -> list[bool]:
    """Ours stops before a call, theirs goes on to one of its; ours ends, and then theirs."""
    store, stopped, goes_on, told = Store(), Event(), Event(), list[bool]()

    def theirs() -> None:
        told.append(is_told(both[1], "3", store, theirs_waits))
        stopped.set()

    def theirs_waits(call: int) -> None:
        if call == theirs_at:
            stopped.set()
            assert goes_on.wait(60.0)

    def ours_waits(call: int) -> None:
        if call == ours_at:
            other.start()
            assert stopped.wait(60.0)

    other = Thread(target=theirs)
    told.append(is_told(both[0], "2", store, ours_waits))
    goes_on.set()
    other.join()
    return told


@pytest.mark.usefixtures("apart")
def test_of_two_machines_one_is_told_wherever_one_stops_and_the_other_goes_on(
    both: tuple[Registry, Registry], monkeypatch: pytest.MonkeyPatch
) -> None:
    for each in both:
        monkeypatch.setattr(each, "_asking", nullcontext)  # it holds what all threads share
    calls: list[int] = []
    assert not is_told(both[0], "2", Store(), calls.append)

    for ours_at in calls:
        for theirs_at in (*calls, len(calls)):
            assert any(told_of(both, ours_at, theirs_at)), (ours_at, theirs_at)
