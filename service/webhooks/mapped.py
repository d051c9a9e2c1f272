"""Rows of a vendor's payload told as events, by the mapping that reads the vendor's exports."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from model.errors import EventError
from model.events import EPOCH, Event
from service.json_text import JsonTextError, read_json
from service.webhooks.delivery import Delivery, Refetch, Translation, Untranslatable

if TYPE_CHECKING:  # Arrow is for the translation alone: receiving does without
    from model.sources.mapping import Mapping as SourceMapping

Json = dict[str, Any]
Part = TypeVar("Part")
DELETED: Final = "deleted"  # as the reason of a loss
SAME_MOMENT: Final = timedelta(minutes=1)  # by which a CRM's own times of one change differ


class Line(NamedTuple):
    """A row of a payload: the title of the mapping's record that reads it, and its columns."""

    record: str
    values: dict[str, str | None]


class Fate(NamedTuple):
    """A deal that its CRM deletes or merges away (`gone` says how), or restores (None)."""

    deal_id: str
    time: str | None
    gone: str | None


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What a company's own names mean, and how it hashes people.

    Parameters
    ----------
    mapping
        A ready mapping's name, or a mapping file.
    person_key
        Answers the installation's key; asked only when there are people.
    won_stages, lost_stages
        Stages that close a deal, as patterns, beside those of the mapping.
    stage_orders
        The place of each stage in its pipeline, where the exports tell it.
    """

    mapping: str
    person_key: Callable[[], bytes]
    won_stages: tuple[str, ...] = ()
    lost_stages: tuple[str, ...] = ()
    stage_orders: tuple[tuple[str, float], ...] = ()

    @cached_property
    def source(self) -> SourceMapping:
        """The mapping itself.

        Raises
        ------
        MappingError
            If there is none, or it cannot be used.
        """
        from model.sources.ready import load_mapping

        return load_mapping(self.mapping)

    def person(self, identity: str) -> str:
        """The keyed hash of an address or a contact's id."""
        from model.sources.persons import person_of

        return person_of(identity, self.person_key())

    def translation(self, notebook: Notebook) -> Translation:
        """What the lines of a payload tell, beside what was noted of it.

        Raises
        ------
        Untranslatable
            If something was refused and nothing was told.
        """
        from model.sources.closings import Stages
        from model.sources.told import Row, tell

        told = tell(
            self.source,
            [Row(record=line.record, values=line.values) for line in notebook.lines],
            stages=Stages(
                won=[*self.source.won_stages, *self.won_stages, *notebook.won_stages],
                lost=[*self.source.lost_stages, *self.lost_stages, *notebook.lost_stages],
                orders=dict(self.stage_orders),
            ),
            person_key=self.person_key() if notebook.lines else b"",
        )
        fates: list[Event] = []
        unread = list(notebook.refused)
        for fate in notebook.fates:
            try:
                fates.append(self._event_of(fate))
            except Untranslatable as error:
                unread.append(error.reason)
        if (unread or told.refused) and not (told.events or fates or notebook.refetch):
            if told.refused:
                remedy = "Remedy: correct it in the CRM, or let a mapping of your own read it"
                unread.append(f"{'; '.join(told.refused)}. {remedy}")
            raise Untranslatable("; ".join(dict.fromkeys(unread)))
        notes = [*notebook.notes, *(f"left out: {each}" for each in (*unread, *told.refused))]
        if told.emptied:
            notes.append(f"{told.emptied} values were emptied, which only a new value can replace")
        return Translation(
            events=(*told.events, *fates),
            notes=tuple(dict.fromkeys(notes)),
            refetch=tuple(dict.fromkeys(notebook.refetch)),
        )

    def _event_of(self, fate: Fate) -> Event:
        """A deletion is a loss: what is gone is not won, and what was known of it stays.

        Raises
        ------
        Untranslatable
            If nothing says when it was.
        """
        from model.sources.standing import BACK, GONE

        kind, ending = ("deal_reopened", BACK) if fate.gone is None else ("deal_lost", GONE)
        try:
            time = datetime.fromisoformat(fate.time or "")
            return Event(
                deal_id=fate.deal_id,
                kind=kind,
                occurred_at=time,
                name=fate.gone,
                source=self.source.source,
                source_id=f"{fate.deal_id}/{kind}/{time.isoformat()}{ending}",
            )
        except (ValueError, EventError) as error:
            raise Untranslatable(
                f"deal {fate.deal_id!r} {fate.gone or 'restored'} at {fate.time!r}: "
                "expected a time with its offset. Remedy: check what sends it"
            ) from error


@dataclass(kw_only=True)
class Notebook:
    """What is read from a payload, before it is told.

    Parameters
    ----------
    lines
        Rows for the mapping.
    notes
        What the payload cannot tell.
    refetch
        Records to be asked for.
    fates
        Deals deleted, merged away or restored.
    refused
        Why parts of the payload could not be read; the others are told all the same.
    won_stages, lost_stages
        Stages that the payload itself says close a deal.
    """

    lines: list[Line] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    refetch: list[Refetch] = field(default_factory=list)
    fates: list[Fate] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    won_stages: list[str] = field(default_factory=list)
    lost_stages: list[str] = field(default_factory=list)

    def read_each(self, parts: Sequence[Part], read: Callable[[Part, Notebook], None]) -> None:
        """Read the parts of a payload, each for itself: one that cannot be read spoils no other."""
        for part in parts:
            try:
                read(part, self)
            except Untranslatable as error:
                self.refused.append(error.reason)


def decoded(delivery: Delivery) -> Any:
    """The JSON of a delivery.

    Raises
    ------
    Untranslatable
        If it is none.
    """
    try:
        return read_json(delivery.body)
    except JsonTextError as error:
        raise Untranslatable(f"body: {error}") from error


def needed(form: Any, name: str, kind: type | tuple[type, ...], where: str) -> Any:
    """A member of an object, of its type.

    Raises
    ------
    Untranslatable
        If it is missing or of another type.
    """
    value = form.get(name) if type(form) is dict else None
    if isinstance(value, bool) or not isinstance(value, kind):
        given = "nothing" if value is None else type(value).__name__
        kinds = " or ".join(
            each.__name__ for each in (kind if isinstance(kind, tuple) else (kind,))
        )
        raise Untranslatable(
            f"{where} with {given} for {name}: expected {kinds}. Remedy: check what sends it"
        )
    return value


def text_of(value: Any) -> str | None:
    """A scalar as an export writes it; None for nothing, and for what is no scalar.

    Examples
    --------
    >>> [text_of(value) for value in (1200.0, 7, True, None, "offer", {"a": 1})]
    ['1200', '7', 'true', None, 'offer', None]
    """
    if value is None or isinstance(value, dict | list):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


def iso_of(milliseconds: int) -> str:
    """A time in milliseconds since 1970 UTC as ISO 8601, which is read soonest.

    Examples
    --------
    >>> iso_of(1_767_605_400_123)
    '2026-01-05T09:30:00.123000+00:00'
    """
    try:
        return (EPOCH + timedelta(milliseconds=milliseconds)).isoformat()
    except OverflowError:
        return str(milliseconds)  # which the translation refuses by name


def known_later(occurred_at: str | None, told_at: str | None) -> str | None:
    """When a fact came to be known, where its CRM dates it back; None where it was known at once.

    A closing, a creation can be dated weeks before anybody entered it.

    Parameters
    ----------
    occurred_at
        When the CRM says that it happened.
    told_at
        When it was entered.

    Examples
    --------
    >>> known_later("2026-01-05T10:00:00Z", "2026-01-25T10:00:00Z")
    '2026-01-25T10:00:00Z'
    >>> known_later("2026-01-25T10:00:00Z", "2026-01-25T10:00:02Z") is None
    True
    """
    if not occurred_at or not told_at:
        return None
    try:
        is_one_moment = _moment(told_at) - _moment(occurred_at) <= SAME_MOMENT
    except (ValueError, OverflowError):
        return told_at  # the translation reads it, or refuses it by name
    return None if is_one_moment else told_at


def _moment(text: str) -> datetime:
    """A time as CRMs write it: milliseconds since 1970 or ISO 8601, UTC where nothing is said."""
    if text.isdigit():
        return EPOCH + timedelta(milliseconds=int(text))
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def objects(body: Any, most: int, where: str) -> Sequence[Any]:
    """The objects of a body that is one, or a list of them.

    Raises
    ------
    Untranslatable
        If it is neither, or too long.
    """
    rows = body if type(body) is list else [body]
    if len(rows) > most:
        raise Untranslatable(f"{len(rows)} {where}: expected at most {most}. Remedy: send fewer")
    for row in rows:
        if type(row) is not dict:
            raise Untranslatable(f"{where}: expected objects. Remedy: check what sends them")
    return rows
