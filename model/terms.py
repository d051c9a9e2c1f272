"""Terms, made ready to be asked: for each feature a function from a snapshot to its value."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import nan

from model.asof import Snapshot
from model.feature import (
    Category,
    Computed,
    Count,
    Feature,
    FieldCategory,
    LastEvent,
    NumberField,
    Rate,
    Since,
    Term,
)
from model.vocabulary import Vocabulary

Value = Callable[[Snapshot], float]


def ready(feature: Feature, code_of: Mapping[str, int], vocabulary: Vocabulary) -> Value:
    """The function that computes a feature.

    Parameters
    ----------
    feature
        Of the company of this vocabulary.
    code_of
        Each code's number in the vocabulary: kinds, ``activity:name`` and ``field:name``.
    vocabulary
        The company's own names.

    Returns
    -------
    Callable
        From a snapshot to the value: NaN where missing, a category as its code. What no feed
        carries is not looked at here, see `carriers`; nor are win rates, see `model.rates`.
    """
    term = feature.term
    if isinstance(term, Count):
        return _count([code_of[code] for code in term.codes], term.days, term.most)
    if isinstance(term, Since):
        codes = [code_of[code] for code in term.codes]
        return _since_one(codes[0]) if len(codes) == 1 else _since(codes)
    if isinstance(term, NumberField):
        return _number(code_of[term.code])
    if isinstance(term, Category | FieldCategory):
        own = vocabulary.category_codes[feature.name]
        new = vocabulary.new_code(feature.name)
        return _category(code_of[term.code], own, new, is_field=isinstance(term, FieldCategory))
    if isinstance(term, LastEvent):
        return _last_event(vocabulary.event_categories)
    return term.compute if isinstance(term, Computed) else lambda _: nan


def reads(term: Term) -> tuple[str, ...]:
    """The codes without which the value is that of a deal never heard of; none: computed always.

    Examples
    --------
    >>> reads(Since(codes=("call_made", "activity:demo")))
    ('call_made', 'activity:demo')
    """
    if isinstance(term, Count | Since):
        return term.codes
    if isinstance(term, NumberField | Category | FieldCategory):
        return (term.code,)
    if isinstance(term, Rate):
        return (f"{term.who}_changed",)
    return term.reads if isinstance(term, Computed) else ()


def carriers(term: Term) -> frozenset[str]:
    """The kinds of which a feed must carry one for the term not to be missing; none needed: empty.

    Examples
    --------
    >>> sorted(carriers(Count(codes=("meeting_held", "activity:demo"))))
    ['activity_logged', 'meeting_held']
    """
    if isinstance(term, Computed):
        return frozenset(term.carriers)
    if not isinstance(term, Count):
        return frozenset()
    return frozenset(
        {"activity": "activity_logged", "field": "field_changed"}.get(prefix, prefix)
        for prefix in (code.partition(":")[0] for code in term.codes)
    )


def _count(codes: Sequence[int], days: float | None, most: float) -> Value:
    if not codes:

        def of_all(snapshot: Snapshot) -> float:
            ages = snapshot.age_days
            return float(len([i for i in snapshot.activity if days is None or ages[i] < days]))

        return of_all

    def count(snapshot: Snapshot) -> float:
        found, ages = 0.0, snapshot.age_days
        for code in codes:
            rows = snapshot.by_code.get(code)
            if rows:
                found += len(rows) if days is None else len([i for i in rows if ages[i] < days])
        return found if found < most else most

    return count


def _since(codes: Sequence[int]) -> Value:
    return lambda snapshot: snapshot.since_days(codes)


def _since_one(code: int) -> Value:
    def since(snapshot: Snapshot) -> float:
        rows = snapshot.by_code.get(code)
        return snapshot.age_days[rows[-1]] if rows else nan

    return since


def _number(code: int) -> Value:
    def number(snapshot: Snapshot) -> float:
        rows = snapshot.by_code.get(code)
        return snapshot.deal.number[rows[-1]] if rows else nan

    return number


def _category(code: int, own: Mapping[str, int], new: int, *, is_field: bool) -> Value:
    def category(snapshot: Snapshot) -> float:
        rows = snapshot.by_code.get(code)
        if not rows:
            return nan
        deal = snapshot.deal
        last = (deal.text if is_field else deal.name)[rows[-1]]
        if last < 0:
            return nan
        return float(own.get((deal.texts if is_field else deal.names)[last], new))

    return category


def _last_event(categories: Sequence[float]) -> Value:
    def last_event(snapshot: Snapshot) -> float:
        rows = snapshot.activity
        return categories[snapshot.deal.code[rows[-1]]] if rows else nan

    return last_event
