"""What a notebook needs: the learning data, its features, and learned curves as pandas frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa

from model.artifact import Artifact
from model.catalogue import CALENDAR
from model.catalogue.activity import ACTIVITY
from model.catalogue.company import COMPANY
from model.catalogue.contact import CONTACTS
from model.catalogue.course import COURSE
from model.catalogue.promises import PROMISES
from model.catalogue.proof import PROOF
from model.errors import HorizonError, TrainingDataError
from model.event_table import read_events
from model.events import from_microseconds, microseconds, parse_time
from model.feature_rows import decode, encode, usual_days
from model.features import FeatureSet
from training.curves import learned_curves
from training.preparing import Options, prepare

GROUPS: Final[Mapping[str, str]] = {
    feature.name: group
    for group, features in (
        ("contact", CONTACTS),
        ("promises", PROMISES),
        ("proof", PROOF),
        ("course", COURSE),
        ("company", COMPANY),
        ("activity", ACTIVITY),
        ("calendar", [feature for _, feature in CALENDAR]),
    )
    for feature in features
}
CURVE_COLUMNS: Final = (
    *("feature", "value", "low", "high", "points", "points_low", "points_high", "share"),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class DealData:
    """Deals at moments while open, as known then, and whether each was won in time.

    Parameters
    ----------
    X
        The features, a row a moment: numbers, NaN where missing, and categories by name.
    y
        Whether the deal was won within the days.
    groups
        Its id: rows of one deal belong on one side of every division.
    as_of
        The moment, UTC.
    weight
        Of the row in learning.
    features
        A row for each column of `X`: ``unit``, ``description``, ``group``, ``direction`` (how the
        probability may move as it rises: 1, -1, or 0 for either way) and what ``missing`` means.
    days
        Ahead.
    """

    X: pd.DataFrame
    y: pd.Series
    groups: pd.Series
    as_of: pd.Series
    weight: pd.Series
    features: pd.DataFrame
    days: float

    @property
    def frame(self) -> pd.DataFrame:
        """All in one frame: ``deal_id``, ``as_of``, ``weight``, ``won``, and the features."""
        known = {"deal_id": self.groups, "as_of": self.as_of, "weight": self.weight, "won": self.y}
        return pd.concat([pd.DataFrame(known), self.X], axis=1)


def deal_data(
    events: pa.Table | Path | str,
    known_before: str | datetime,
    days: float = 30.0,
    options: Options | None = None,
) -> DealData:
    """The learning data for wins within some days.

    Parameters
    ----------
    events
        An event log: a file, or a table of `model.event_table.EVENT_SCHEMA`.
    known_before
        Nothing known at or after this is used: a date, or a time with its offset.
    days
        Ahead. Only moments count whose end is known, whatever came.
    options
        As of a training; its edges are left aside.

    Raises
    ------
    HorizonError
        If the days are none ahead.
    TrainingDataError
        If there is too little to learn from.

    Examples
    --------
    >>> from training.simulate import simulate
    >>> options = Options(spacing_days=60.0)
    >>> data = deal_data(simulate(300, 1, truth=False).events, "2026-01-05", 90.0, options)
    >>> len(data.X) == len(data.y) == len(data.groups)
    True
    >>> data.features.loc["silence_days", ["unit", "group"]].tolist()
    ['days', 'contact']
    """
    if not days > 0.0:
        raise HorizonError(f"days {days!r}", "a number of days above 0", "ask about days ahead")
    table = events if isinstance(events, pa.Table) else read_events(Path(events))
    at = known_before if isinstance(known_before, datetime) else parse_time("known", known_before)
    asked = replace(options or Options(), edges_days=(float(days),), within_days=())
    learning = prepare(table, microseconds(at), asked)
    data = learning.data
    data = data.take(data.countable(learning.edges)[:, 0])
    ids = np.array(data.deal_ids, dtype=object)
    return DealData(
        X=_frame(learning.features, data.x),
        y=pd.Series(data.days_to_win() <= days, name="won"),
        groups=pd.Series(ids[data.deal], name="deal_id", dtype="str"),
        as_of=pd.Series([from_microseconds(t) for t in data.as_of.tolist()], name="as_of"),
        weight=pd.Series(data.weight, name="weight"),
        features=feature_table(learning.features),
        days=float(days),
    )


def _frame(features: FeatureSet, x: np.ndarray) -> pd.DataFrame:
    columns = decode(features, x)
    frame = pd.DataFrame(columns, columns=list(features.names))
    for feature in features.features:
        if feature.is_category:
            names = pd.CategoricalDtype(list(features.categories(feature)))
            frame[feature.name] = frame[feature.name].astype(names)
        else:
            frame[feature.name] = frame[feature.name].astype("float64")
    return frame


def feature_table(features: FeatureSet | Artifact) -> pd.DataFrame:
    """What is known of each feature, by name.

    Examples
    --------
    >>> from model.vocabulary import Vocabulary
    >>> feature_table(FeatureSet(Vocabulary())).loc["meetings_60_days", "description"]
    'meetings in 60 days'
    """
    if isinstance(features, Artifact):
        features = FeatureSet.from_json(features.features)
    own = set() if features.own is None else {each.name for each in features.own.features}
    rows = [
        {
            "name": each.name,
            "unit": each.unit,
            "description": each.question,
            "group": "own" if each.name in own else _group(each.name),
            "direction": each.direction,
            "missing": each.missing,
        }
        for each in features.features
    ]
    return pd.DataFrame(rows).set_index("name")


def _group(name: str) -> str:
    kind = name.partition(":")[0] if ":" in name else ""
    return {"field": "field", "activity": "own activity"}.get(kind) or GROUPS[name]


def curve_table(artifact: Artifact, X: pd.DataFrame, days: float | None = None) -> pd.DataFrame:
    """The learned curves, the strongest feature first.

    Parameters
    ----------
    artifact
        Whose tables are read.
    X
        Rows of its features, which say how often values occur, as of `deal_data`.
    days
        The horizon asked about; None takes the edge nearest to a month.

    Returns
    -------
    DataFrame
        A row for each bin of each feature: its ``value`` in words, the numbers ``low`` (excluded)
        to ``high``, what it adds to the average deal's probability, as a fraction of one
        (``points``: 0.03 is three percentage points; ``points_low`` to ``points_high`` is the
        80 % interval), and the ``share`` of rows with such a value.

    Raises
    ------
    TrainingDataError
        If `X` is no frame.
    FeatureRowError
        If it lacks a feature of the artifact, or holds something else than numbers there.
    """
    features = FeatureSet.from_json(artifact.features)
    if not isinstance(X, pd.DataFrame):
        raise TrainingDataError(
            f"X of type {type(X).__name__}",
            "a data frame with a column for each feature of the artifact",
            "take the X of deal_data, of the same events",
        )
    x = encode(features, {str(name): X[name].tolist() for name in X.columns})
    ahead = usual_days(artifact.edges) if days is None else days
    rows = [
        {"feature": curve.feature, **step.__dict__}
        for curve in learned_curves(artifact, x, ahead)
        for step in curve.steps
    ]
    return pd.DataFrame(rows, columns=list(CURVE_COLUMNS))
