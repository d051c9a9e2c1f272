"""Features that know the outcome because they were written by it: named, with the evidence.

Three signs are looked for. A feature that tells won from lost at a deal's first snapshot almost
perfectly was hardly known then, whatever its times say. A field or activity that is recorded
mostly when deals close belongs to the closing, even where it comes shortly before it. And a feature
of any kind that tells won from lost just before the closing, but tells nothing as known a week
earlier, was probably written by the end: what drives a deal mostly shows for longer. A sales
process with a stage of the last days shows the same honestly, in the stage and in all that moves
with it, so this third sign is no more than a note unless a company's own field or activity shows
it, or a feature of its own Python file that is made of one or does not say of what.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from model.errors import TrainingDataError
from model.events import DAY_US
from model.feature import Computed, Feature
from model.features import FeatureSet
from model.history import Floats, History, Ints
from model.terms import reads
from model.vocabulary import KIND_OF_FIELD
from training.dataset import NEVER, Dataset, deal_of_rows, last_closings, win_times

Flags = NDArray[np.bool_]

PERFECT_AUC: Final = 0.95  # no honest fact of a deal's first day tells its end so well
CLOSING_DAYS: Final = 1.0  # a fact recorded so near the closing is taken for part of it
CLOSING_SHARE: Final = 0.5  # "mostly": more than half of its records, by deal
CLOSING_TIMES: Final = 3.0  # as often as facts spread evenly: short deals are near their end always
BEFORE_CLOSING_US: Final = DAY_US // 24  # when a feature is asked what it tells
LAG_DAYS: Final = 7.0  # and so much earlier again
OLDEST_LAGS: Final = 2.0  # deals that lived for at least so many lags
TELLING_AUC: Final = 0.7  # below it, a week's noise may look like a sign
KEPT_SHARE: Final = 0.2  # of the AUC above one half that an honest feature keeps at the least
MOST_LAGGED: Final = 2_000  # deals looked at twice: enough for an AUC to two digits, and cheap
FEWEST_OF_EACH: Final = 20  # deals won and lost: below it, chance separates them
FEWEST_FILLED: Final = 20  # deals that have a fact: below it, a share says little
MOST_DEALS: Final = 5_000  # looked at: enough for an AUC to two digits, and cheap
OWN: Final = ("field:", "activity:")  # how codes of a company's own begin
BINS: Final = 16  # of a number's values
PRIOR_DEALS: Final = 2.0  # that each bin starts from, at the base rate


@dataclass(frozen=True, kw_only=True)
class Leak:
    """A feature that probably knows the outcome.

    Parameters
    ----------
    feature
        Its name, as ``--drop`` takes it.
    evidence
        What was seen, in words.
    is_note
        Whether an honest process shows the same: to be looked at, not refused.
    """

    feature: str
    evidence: str
    is_note: bool = False

    def to_json(self) -> dict[str, Any]:
        """As the artifact keeps it."""
        return asdict(self)


def find_leaks(
    history: History, features: FeatureSet, data: Dataset, known_before: int, seed: int = 0
) -> tuple[Leak, ...]:
    """Name the features that probably know the outcome.

    Parameters
    ----------
    history
        The events known before the cut-off.
    features, data
        What will be learned from.
    known_before
        K, microseconds since 1970 UTC.
    seed
        Of the deals drawn where there are many.

    Returns
    -------
    tuple of Leak
        Those that tell the end alone, then those recorded at closing, then those that tell it
        only in the last days, which are notes where the kind of event is none of the company's own.
    """
    leaks = [
        *_telling_alone(history, features, data, known_before, seed),
        *_recorded_at_closing(history, features, known_before),
    ]
    named = {leak.feature for leak in leaks}
    late = _telling_late(history, features, known_before, seed)
    return (*leaks, *(leak for leak in late if leak.feature not in named))


def refuse_leaks(leaks: tuple[Leak, ...]) -> None:
    """Stop before learning from a leak.

    Raises
    ------
    TrainingDataError
        If there is any that is more than a note.
    """
    refused = [leak for leak in leaks if not leak.is_note]
    if refused:
        raise TrainingDataError(
            "; ".join(f"{leak.feature!r} {leak.evidence}" for leak in refused),
            "with --strict, no feature that seems to know the outcome",
            "leave it out with --drop, or train without --strict if it is honest",
        )


def _closings(history: History, known_before: int) -> Ints:
    """When the last closing of each deal became known; `NEVER` if none. Shape (D,)."""
    last = last_closings(history, known_before)
    return np.where(last >= 0, history.known[last], NEVER)


def _telling_alone(
    history: History, features: FeatureSet, data: Dataset, known_before: int, seed: int
) -> list[Leak]:
    order = np.lexsort((data.as_of, data.deal))
    _, first = np.unique(data.deal[order], return_index=True)
    rows = order[first]
    rows = rows[_closings(history, known_before)[data.deal[rows]] != NEVER]
    rows = np.random.default_rng(seed).permutation(rows)[:MOST_DEALS]
    won = data.win[rows] != NEVER
    if min(won.sum(), (~won).sum()) < FEWEST_OF_EACH:
        return []
    leaks = []
    for column, feature in enumerate(features.features):
        auc = _auc_alone(data.x[rows, column], won, is_category=feature.is_category)
        if auc >= PERFECT_AUC:
            evidence = (
                f"alone tells won from lost at the first snapshot of {len(rows)} closed deals "
                f"with an AUC of {auc:.3f}"
            )
            leaks.append(Leak(feature=feature.name, evidence=evidence))
    return leaks


def _telling_late(
    history: History, features: FeatureSet, known_before: int, seed: int
) -> list[Leak]:
    """What tells won from lost just before the closing, and hardly anything a week before that."""
    closed = _closings(history, known_before)
    begun = np.full(history.deals, NEVER)
    np.minimum.at(begun, deal_of_rows(history), history.known)
    lag = int(LAG_DAYS * DAY_US)
    deals = np.flatnonzero((closed != NEVER) & (closed - begun > OLDEST_LAGS * lag))
    deals = np.random.default_rng(seed).permutation(deals)[:MOST_LAGGED]
    won = win_times(history, known_before)[deals] != NEVER
    if min(won.sum(), (~won).sum()) < FEWEST_OF_EACH:
        return []
    moments = closed[deals] - BEFORE_CLOSING_US
    late = features.matrix(history, deals, moments)
    early = features.matrix(history, deals, moments - lag)
    leaks = []
    for column, feature in enumerate(features.features):
        auc = _auc_alone(late[:, column], won, is_category=feature.is_category)
        if auc < TELLING_AUC:
            continue
        before = _auc_alone(early[:, column], won, is_category=feature.is_category)
        if before - 0.5 <= KEPT_SHARE * (auc - 0.5):
            evidence = (
                f"tells won from lost an hour before the closing of {len(deals)} deals with an "
                f"AUC of {auc:.2f}, but with {before:.2f} as known {LAG_DAYS:g} days earlier"
            )
            is_note = not _is_own(feature, features)
            leaks.append(Leak(feature=feature.name, evidence=evidence, is_note=is_note))
    return leaks


def _is_own(feature: Feature, features: FeatureSet) -> bool:
    """Whether it may be made of a company's own fields or activities, as far as it says."""
    written = () if features.own is None else features.own.features
    hides = isinstance(feature.term, Computed) and feature.name in {each.name for each in written}
    return hides or any(code.startswith(OWN) for code in reads(feature.term))


def _auc_alone(values: Floats, won: Flags, *, is_category: bool) -> float:
    """The AUC of won rates by bin, each half of the deals judged by the other's rates.

    Missing is a bin of its own. Rows must stand in random order.
    """
    missing = np.isnan(values)
    if is_category:
        _, bins = np.unique(values, return_inverse=True)
    else:
        known = values[~missing]
        cuts = np.unique(np.quantile(known, np.arange(1, BINS) / BINS)) if known.size else known
        bins = np.searchsorted(cuts, values, side="left")
        bins[missing] = len(cuts) + 1
    half = np.arange(len(values)) % 2 == 0
    aucs = []
    for learn, judge in ((half, ~half), (~half, half)):
        size = int(bins.max()) + 1
        count = np.bincount(bins[learn], minlength=size)
        wins = np.bincount(bins[learn], weights=won[learn], minlength=size)
        rate = (wins + PRIOR_DEALS * won[learn].mean()) / (count + PRIOR_DEALS)
        if won[judge].any() and not won[judge].all():
            aucs.append(roc_auc_score(won[judge], rate[bins[judge]]))
        else:
            aucs.append(0.5)  # nothing to tell apart
    return float(np.mean(aucs))


def _recorded_at_closing(history: History, features: FeatureSet, known_before: int) -> list[Leak]:
    deal = deal_of_rows(history)
    closed = _closings(history, known_before)
    begun = np.full(history.deals, NEVER)
    np.minimum.at(begun, deal, history.known)
    codes = features.vocabulary.codes(history)
    usable = (closed[deal] != NEVER) & (history.known < known_before)
    leaks = []
    for (kind, name), code in features.vocabulary.own_codes.items():
        fact = f"field:{name}" if kind == KIND_OF_FIELD else f"activity:{name}"
        rows = np.flatnonzero(usable & (codes == code))
        deals, which = np.unique(deal[rows], return_inverse=True)
        if len(deals) < FEWEST_FILLED:
            continue
        is_near = np.abs(closed[deal[rows]] - history.known[rows]) <= CLOSING_DAYS * DAY_US
        # By deal, so that a deal with many records counts once.
        near = float((np.bincount(which, weights=is_near) / np.bincount(which)).mean())
        life_days = np.maximum((closed[deals] - begun[deals]) / DAY_US, CLOSING_DAYS)
        evenly = float((CLOSING_DAYS / life_days).mean())
        if near >= CLOSING_SHARE and near >= CLOSING_TIMES * evenly:
            evidence = (
                f"is recorded within {CLOSING_DAYS:g} day of the closing for {near:.0%} of its "
                f"records in {len(deals)} closed deals, where {evenly:.0%} would be by chance"
            )
            leaks += [
                Leak(feature=each.name, evidence=evidence)
                for each in features.features
                if fact in reads(each.term)
            ]
    return leaks
