"""What is looked at in a company's own features before anything is learned with them."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from traceback import walk_tb
from typing import Final

from model.asof import DealRows, Snapshot
from model.errors import OwnFeaturesError
from model.events import DAY_US, KIND_CODES
from model.feature import Computed, Count, Feature, NumberField, Since, say

UNITS: Final = ("amount", "days", "events", "flag", "milestones", "number", "people", "share")
OF_A_COMPANY: Final = ("activity:NAME", "field:NAME")  # codes beside the kinds
TOLD: Final = (0.0, 1.0, 2.5, -2.5, None)  # values of which each feature has to say something
SAMPLE_DATE: Final = 20_000.0  # days since 1970, of the deal made up


def check_entry(path: Path, feature: Feature) -> None:
    """Refuse a unit, a kind of event or a phrase that cannot be used.

    Parameters
    ----------
    path
        The file, for the message.

    Raises
    ------
    OwnFeaturesError
        Naming the file, the feature, what was given and what there is.
    """
    where = f"{path}, feature {feature.name!r}"
    if feature.unit not in UNITS:
        _refuse(f"{where}, unit {feature.unit!r}", "unit", feature.unit, UNITS)
    term = feature.term
    named: object = ()
    if isinstance(term, Count | Since):
        named = term.codes
    elif isinstance(term, NumberField):
        named = (term.code,)
    elif isinstance(term, Computed):
        named = (*term.reads, *term.carriers)
    if not isinstance(named, tuple):
        raise OwnFeaturesError(
            f"{where}, codes {named!r}", 'a tuple such as ("call_made",)', "set the brackets"
        )
    carriers = term.carriers if isinstance(term, Computed) else ()
    for code in named:
        if code in KIND_CODES:
            continue
        is_own = isinstance(code, str) and code.startswith(("activity:", "field:"))
        if not is_own or code in carriers:
            more = () if code in carriers else OF_A_COMPANY
            _refuse(f"{where}, kind {code!r}", "kind", code, (*KIND_CODES, *more))
    for value in TOLD:
        try:
            say(feature, value)
        except Exception as error:
            raise failed(path, feature, error, f"put {value} into words") from error


def check_computed(feature: Feature) -> None:
    """Refuse a function that fails on a deal never heard of, or on one with each kind of event."""
    if isinstance(feature.term, Computed):
        for snapshot in (Snapshot.of_nothing(), _of_everything()):
            feature.term.compute(snapshot)


def failed(
    path: Path, feature: Feature, error: Exception, work: str = "was computed"
) -> OwnFeaturesError:
    """What is said of an error in a feature's own code: where it is, and what is wrong.

    Parameters
    ----------
    work
        What could not be done.
    """
    if isinstance(error, OwnFeaturesError):
        return error
    frames = walk_tb(error.__traceback__)
    lines = [line for frame, line in frames if frame.f_code.co_filename == str(path)]
    where = f"{path}, feature {feature.name!r}" + (f", line {lines[-1]}" if lines else "")
    if isinstance(error, KeyError) and error.args and _raised_by_snapshot(error):
        return _told(f"{where}, kind {error.args[0]!r}", "kind", error.args[0], KIND_CODES)
    if isinstance(error, AttributeError) and isinstance(error.obj, Snapshot | DealRows):
        name = type(error.obj).__name__
        there = [each for each in dir(type(error.obj)) if not each.startswith("_")]
        return _told(f"{where}, {error.name!r} of a {name}", "name", error.name, there)
    return OwnFeaturesError(
        f"{where} ({type(error).__name__}: {error})",
        f"code that runs for every deal ({work})",
        "correct it; a deal may have no event at all, and what is missing is NaN",
    )


def _raised_by_snapshot(error: KeyError) -> bool:
    *_, (frame, _line) = walk_tb(error.__traceback__)
    return frame.f_code.co_filename == Snapshot.of.__code__.co_filename


def _of_everything() -> Snapshot:
    """A deal made up with one event of each kind, a day apart."""
    rows = object.__new__(DealRows)
    count = len(KIND_CODES)
    rows.code = sorted(KIND_CODES.values())
    rows.occurred = [number * int(DAY_US) for number in range(count)]
    rows.known = rows.occurred.copy()
    rows.name = rows.text = rows.person = rows.source = [0] * count
    rows.number, rows.date = [1.0] * count, [SAMPLE_DATE] * count
    rows.names, rows.texts, rows.sources = ("a name",), ("a text",), ("crm",)
    return Snapshot(rows, count * int(DAY_US))


def _refuse(given: str, what: str, name: object, there: Iterable[str]) -> None:
    raise _told(given, what, name, there)


def _told(given: str, what: str, name: object, there: Iterable[str]) -> OwnFeaturesError:
    names = list(there)
    near = get_close_matches(str(name), names, 1)
    remedy = f"correct the {what}" + "".join(f"; the nearest is {each}" for each in near)
    return OwnFeaturesError(given, "one of " + ", ".join(names), remedy)
