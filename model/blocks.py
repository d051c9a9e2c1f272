"""Features of one kind of term, looked up together: few array operations, however many they are.

Values stand as [features, snapshots].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from model.asof import AGES, WINDOWS_DAYS, AsOf
from model.coverage import Coverage
from model.feature import (
    Category,
    Computed,
    Count,
    Feature,
    FieldCategory,
    NumberField,
    Since,
    Term,
)
from model.history import Floats, Ints

T = TypeVar("T", Category, Count, FieldCategory, NumberField, Since)
_KINDS: Final = {"activity": "activity_logged", "field": "field_changed"}


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
        cells = [
            [
                age * len(code_of) + code_of[code]
                for age in range(AGES if term.days is None else WINDOWS_DAYS.index(term.days) + 1)
                for code in term.codes or code_of
            ]
            for term in self.terms
        ]
        self._cells, self._start = _end_to_end(cells)
        self._most = np.array([[term.most] for term in self.terms])

    def values(self, asof: AsOf) -> Floats:
        """How many, at most as many as the term asks for."""
        aged = asof.aged.reshape(AGES * asof.vocabulary.size, asof.size).take(self._cells, axis=0)
        return np.asarray(np.minimum(np.add.reduceat(aged, self._start), self._most))


class Ages(Block[Since]):
    """Days since the last event of some codes."""

    def _arrange(self, code_of: Mapping[str, int]) -> None:
        codes = [[code_of[code] for code in term.codes] for term in self.terms]
        self._codes, self._start = _end_to_end(codes)

    def values(self, asof: AsOf) -> Floats:
        """NaN where there was none."""
        return np.fmin.reduceat(asof.since_days.take(self._codes, axis=0), self._start)


class Numbers(Block[NumberField]):
    """The last values of numeric fields."""

    def _arrange(self, code_of: Mapping[str, int]) -> None:
        self._codes = np.array([code_of[term.code] for term in self.terms], dtype=np.int64)

    def values(self, asof: AsOf) -> Floats:
        """NaN where there is none."""
        return asof.number.take(asof.last.take(self._codes, axis=0))


class Categories(Block[Category]):
    """The last names of kinds."""

    def _arrange(self, code_of: Mapping[str, int]) -> None:
        self._codes = np.array([code_of[term.code] for term in self.terms], dtype=np.int64)

    def values(self, asof: AsOf) -> Floats:
        """NaN where there is none."""
        codes = asof.name.take(asof.last.take(self._codes, axis=0))
        return asof.vocabulary.category_rows(self.names, codes, asof.history.names)


class FieldCategories(Block[FieldCategory]):
    """The last texts of fields."""

    def _arrange(self, code_of: Mapping[str, int]) -> None:
        self._codes = np.array([code_of[term.code] for term in self.terms], dtype=np.int64)

    def values(self, asof: AsOf) -> Floats:
        """NaN where there is none."""
        codes = asof.text.take(asof.last.take(self._codes, axis=0))
        return asof.vocabulary.category_rows(self.names, codes, asof.history.texts)


class Carried:
    """Which features are missing where no feed of the deal carries what they look at.

    Parameters
    ----------
    features
        A company's features in the order of the matrix.
    """

    def __init__(self, features: Sequence[Feature]) -> None:
        self._carriers = [frozenset(_carriers(feature.term)) for feature in features]
        needed = [1.0 if carriers else 0.0 for carriers in self._carriers]
        self._needed = np.array(needed, dtype=np.float32)[:, None]
        self._carries: dict[tuple[frozenset[str], ...], NDArray[np.float32]] = {}

    def missing(self, coverage: Coverage) -> NDArray[np.bool_]:
        """Whether each feature is missing at each snapshot. Shape (F, S)."""
        feeds, speaks = coverage.speaking
        kinds = tuple(feed.kinds for feed in feeds)
        carries = self._carries.get(kinds)
        if carries is None:
            carries = self._carries[kinds] = self._carried_by(kinds)
        return np.asarray(carries @ speaks < self._needed)

    def _carried_by(self, feeds: Sequence[frozenset[str]]) -> NDArray[np.float32]:
        """Whether feeds of these kinds carry what each feature looks at: 1 or 0. (F, feeds)."""
        rows = [[not kinds.isdisjoint(each) for kinds in feeds] for each in self._carriers]
        return np.array(rows, dtype=np.float32).reshape(len(rows), len(feeds))


def _carriers(term: Term) -> tuple[str, ...]:
    if isinstance(term, Count):
        return tuple(_KINDS.get(code.partition(":")[0], code) for code in term.codes)
    return term.carriers if isinstance(term, Computed) else ()


def _end_to_end(lists: Sequence[Sequence[int]]) -> tuple[Ints, Ints]:
    """The lists as one, and where each begins, for ``reduceat``."""
    start = np.cumsum([0, *(len(each) for each in lists)])[:-1]
    return np.array([code for each in lists for code in each], dtype=np.int64), start
