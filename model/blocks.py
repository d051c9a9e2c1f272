"""Features of one kind of term, looked up together: few array operations, however many they are.

Values stand as [features, snapshots].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from model.asof import ALL_TIME, WINDOWS_DAYS, AsOf
from model.feature import Category, Computed, Count, CountAfter, Feature, NumberField, Since, Term
from model.history import NONE, Floats, Ints
from model.vocabulary import Vocabulary

T = TypeVar("T", Category, Count, CountAfter, NumberField, Since)


class Block(Generic[T]):
    """All features of one kind of term.

    Parameters
    ----------
    features
        A company's features in the order of the matrix.
    kind
        The kind of term.
    code_of
        Each code's number in the vocabulary.
    """

    def __init__(
        self, features: Sequence[Feature], kind: type[T], code_of: Mapping[str, int]
    ) -> None:
        found = [
            (column, feature.name, feature.term)
            for column, feature in enumerate(features)
            if isinstance(feature.term, kind)
        ]
        self.columns = np.array([column for column, _, _ in found], dtype=np.int64)
        self.names = [name for _, name, _ in found]
        self.terms: list[T] = [term for _, _, term in found]
        self._arrange(code_of)

    def _arrange(self, code_of: Mapping[str, int]) -> None:
        """Prepare what stays the same from one call of `values` to the next."""
        raise NotImplementedError

    def values(self, asof: AsOf) -> Floats:
        """The features' values. Shape (n, S)."""
        raise NotImplementedError


class Counts(Block[Count]):
    """Events of some codes within a window."""

    def _arrange(self, code_of: Mapping[str, int]) -> None:
        self._codes, self._start = _runs([term.codes for term in self.terms], code_of)
        windows = [
            ALL_TIME if term.days is None else WINDOWS_DAYS.index(term.days) for term in self.terms
        ]
        self._windows = np.repeat(windows, [len(term.codes) for term in self.terms])
        self._most = np.array([[term.most] for term in self.terms])

    def values(self, asof: AsOf) -> Floats:
        """How many, at most as many as the term asks for."""
        counts = np.add.reduceat(asof.recent[self._windows, self._codes], self._start)
        return np.asarray(np.minimum(counts, self._most))


class Ages(Block[Since]):
    """Days since the last event of some codes."""

    def _arrange(self, code_of: Mapping[str, int]) -> None:
        self._codes, self._start = _runs([term.codes for term in self.terms], code_of)

    def values(self, asof: AsOf) -> Floats:
        """NaN where there was none."""
        return np.fmin.reduceat(asof.since_days[self._codes], self._start)


class Replies(Block[CountAfter]):
    """Events of one code after the last of others; each code has one such feature at most."""

    def _arrange(self, code_of: Mapping[str, int]) -> None:
        self._after, self._start = _runs([term.after for term in self.terms], code_of)
        self._term_of_code = np.full(len(code_of), NONE)
        self._term_of_code[[code_of[term.code] for term in self.terms]] = range(len(self.terms))

    def values(self, asof: AsOf) -> Floats:
        """How many, whether or not the others ever came."""
        term = self._term_of_code[asof.code]
        rows = (term >= 0).nonzero()[0]
        if rows.size == 0:
            return np.zeros((len(self.terms), asof.size))
        after = np.maximum.reduceat(asof.last[self._after], self._start)
        cell = term[rows] * asof.size + asof.snap[rows]
        cell = cell[rows > after.reshape(-1)[cell]]
        return np.bincount(cell, minlength=after.size).reshape(after.shape).astype(np.float64)


class Numbers(Block[NumberField]):
    """The last values of numeric fields."""

    def _arrange(self, code_of: Mapping[str, int]) -> None:
        self._codes = np.array([code_of[term.code] for term in self.terms], dtype=np.int64)

    def values(self, asof: AsOf) -> Floats:
        """NaN where there is none."""
        return asof.number[asof.last[self._codes]]


class Categories(Block[Category]):
    """The last names of kinds, and the last texts of fields."""

    def _arrange(self, code_of: Mapping[str, int]) -> None:
        self._codes = np.array([code_of[term.code] for term in self.terms], dtype=np.int64)
        is_field = np.array([term.code.startswith("field:") for term in self.terms], dtype=bool)
        self._named, self._fields = np.flatnonzero(~is_field), np.flatnonzero(is_field)

    def values(self, asof: AsOf) -> Floats:
        """NaN where there is none."""
        values = np.empty((len(self.terms), asof.size))
        last = asof.last[self._codes]
        history = asof.history
        for which, column, strings in (
            (self._named, history.name, history.names),
            (self._fields, history.text, history.texts),
        ):
            if which.size:
                codes = asof.string_column(column)[last[which]]
                names = [self.names[i] for i in which.tolist()]
                values[which] = asof.vocabulary.category_rows(names, codes, strings)
        return values


class Carried:
    """Which features are missing where no feed of the deal carries what they look at.

    Parameters
    ----------
    features
        A company's features in the order of the matrix.
    code_of
        Each code's number in the vocabulary.
    vocabulary
        The company's own names.
    """

    def __init__(
        self, features: Sequence[Feature], code_of: Mapping[str, int], vocabulary: Vocabulary
    ) -> None:
        found = [
            (column, carriers)
            for column, feature in enumerate(features)
            if (carriers := _carriers(feature.term))
        ]
        self.columns = np.array([column for column, _ in found], dtype=np.int64)
        codes, self._start = _runs([carriers for _, carriers in found], code_of)
        self._kinds = vocabulary.kind_of_code[codes]

    def missing(self, asof: AsOf) -> NDArray[np.bool_] | None:
        """Whether each feature of `columns` is missing; None if none is. Shape (n, S)."""
        if asof.coverage is None or self.columns.size == 0:
            return None
        carried = np.logical_or.reduceat(asof.coverage.carried[self._kinds], self._start)
        return None if carried.all() else ~carried


def _carriers(term: Term) -> tuple[str, ...]:
    if isinstance(term, Count):
        return term.codes
    if isinstance(term, CountAfter):
        return (term.code,)
    return term.carriers if isinstance(term, Computed) else ()


def _runs(lists: Sequence[Sequence[str]], code_of: Mapping[str, int]) -> tuple[Ints, Ints]:
    """Lists of codes end to end, and where each begins, for ``reduceat``."""
    codes = np.array([code_of[code] for each in lists for code in each], dtype=np.int64)
    start = np.cumsum([0, *(len(each) for each in lists)])[:-1]
    return codes, start.astype(np.int64)
