"""From a deal's own events and an artifact, and nothing else, to its score.

It needs NumPy alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Final

import numpy as np

from model.artifact import Artifact
from model.asof import AsOf
from model.coverage import Coverage
from model.data_quality import data_quality
from model.drivers import drivers, drivers_of_one
from model.errors import ArtifactError, ScoreError
from model.events import DAY_US, EPOCH_DAY, from_microseconds, microseconds
from model.feature import say
from model.features import CELLS_AT_ONCE, FeatureSet
from model.feeds import Feed, Feeds, feeds_from_json
from model.gates import find_gates, gate
from model.hazard import edge_weights, log_odds, log_odds_by_date, probability
from model.history import Floats, History, Ints
from model.interval import interval, probability_of
from model.not_open import not_open
from model.rates import ClosingTable
from model.score import SCORE_SCHEMA, Basis, CurvePoint, Driver, Interval, Score
from model.scored import Checks, Scored, joined
from model.unusual import SeenRanges

MAIN_DRIVERS: Final = 10
MOST_COVERAGES: Final = 64  # kept, for as many different sets of sources


def days_until(as_of: int, close_by: date) -> float:
    """Days from `as_of`, microseconds since 1970 UTC, to the end of the date (UTC).

    Examples
    --------
    >>> days_until(0, date(1970, 1, 7))
    7.0
    """
    return (close_by - EPOCH_DAY).days + 1.0 - as_of / DAY_US


class Scorer:
    """Scores deals with one artifact.

    Parameters
    ----------
    artifact
        Loaded and verified.
    """

    def __init__(self, artifact: Artifact) -> None:
        self.artifact = artifact
        try:
            self.features = FeatureSet.from_json(artifact.features)
        except KeyError as error:
            raise ArtifactError(
                f"an artifact with feature {error}",
                "the features of this release",
                "train it again, or use the release that it was trained with",
            ) from error
        self.rates = ClosingTable.from_json(artifact.facts["rates"])
        self.trained_feeds = feeds_from_json(artifact.facts["feeds"])
        self.known_before = microseconds(datetime.fromisoformat(artifact.facts["known_before"]))
        self.seen_ranges = SeenRanges(self.features, artifact.facts.get("ranges", {}))
        self.rhythm_days: float | None = artifact.facts.get("rhythm_days")
        self.basis: Basis = artifact.facts.get("basis", "model")
        self._coverages: dict[tuple[str, ...], Coverage] = {}
        self.tables = artifact.calibrated
        self.edges = artifact.edges

    @cached_property
    def _edge_weights(self) -> Floats:
        return edge_weights(self.edges, self.edges[1:])

    @cached_property
    def _edge_days(self) -> list[tuple[float, timedelta]]:
        return [(days, timedelta(days=days)) for days in self.edges[1:].tolist()]

    def feeds(self, heard: Feeds | None = None) -> dict[str, Feed]:
        """The training's feeds, with what is known of when each was last heard.

        Parameters
        ----------
        heard
            Feeds of today. A source that training knew keeps its kinds and takes their times; one
            that it never met stays undescribed, whoever asks: nothing was learned of what it
            carries, and a file would tell that by events not known at every moment asked about.
        """
        feeds: dict[str, Feed] = dict(self.trained_feeds)
        for source in feeds.keys() & (heard or {}).keys():
            own = feeds[source]
            feeds[source] = replace(own, heard=(heard or {})[source].heard)
        return feeds

    def check_as_of(self, as_of: int, hindsight: bool, name: str = "as_of") -> bool:
        """Whether the score is hindsight; refuse it unless asked for.

        Parameters
        ----------
        as_of
            Microseconds since 1970 UTC.
        hindsight
            Whether it is asked for.
        name
            What the moment is called, for the error.

        Raises
        ------
        ScoreError
            If `as_of` lies before the artifact's cut-off and `hindsight` is not set.
        """
        before = as_of < self.known_before
        if before and not hindsight:
            raise ScoreError(
                f"{name} {from_microseconds(as_of).isoformat()}",
                f"a time from {from_microseconds(self.known_before).isoformat()} on, the cut-off "
                "of the artifact",
                "use the artifact that was in force then, or ask for hindsight (--hindsight)",
            )
        return before

    def score(
        self,
        history: History,
        as_of: datetime,
        *,
        close_by: date | None = None,
        days: float | None = None,
        deal: int = 0,
        feeds: Feeds | None = None,
        hindsight: bool = False,
        most: int | None = MAIN_DRIVERS,
    ) -> Score:
        """Score one deal.

        Parameters
        ----------
        history
            Its events, perhaps with those of others.
        as_of
            Nothing known later is used.
        close_by, days
            The date asked about, or days from `as_of`; exactly one.
        deal
            Index into ``history.deal_ids``.
        feeds
            When each source was last heard; None takes all as running.
        hindsight
            Allow an `as_of` before the artifact's cut-off.
        most
            How many drivers to name; None names all that add anything.

        Returns
        -------
        Score
            With drivers for the date asked about.

        Raises
        ------
        ScoreError
            If the deal was not open at `as_of`, or it is hindsight.
        HorizonError
            If the date lies outside what the artifact answers.
        """
        now = microseconds(as_of)
        is_hindsight = self.check_as_of(now, hindsight)
        if (close_by is None) == (days is None):
            raise ScoreError(
                f"close_by {close_by} and days {days}", "one of the two", "give one of them"
            )
        ahead = days_until(now, close_by) if close_by is not None else float(days or 0.0)
        weights = edge_weights(self.edges, ahead, as_of_us=now)
        scored = self._scored(
            history,
            np.array([deal]),
            np.array([now], dtype=np.int64),
            weights[None],
            self.feeds(feeds) if feeds else self.trained_feeds,
            checked=True,
        )
        if not scored.is_open[0] or scored.split is None:
            raise not_open(history, deal, now)
        return self._score(
            history.deal_ids[deal], now, ahead, close_by, scored, 0, is_hindsight, most
        )

    def score_many(
        self,
        history: History,
        deal: Ints,
        as_of: Ints,
        days: Floats | None,
        feeds: Feeds | None = None,
        *,
        checked: bool = False,
    ) -> Scored:
        """Score many deals at once.

        Parameters
        ----------
        deal
            Indices into ``history.deal_ids``. Shape (S,).
        as_of
            Microseconds since 1970 UTC; `check_as_of` is the caller's. Shape (S,).
        days
            Days ahead that drivers are asked for, shape (S,); None leaves drivers out.
        feeds
            As `Scorer.feeds` gives them; None takes those of training.
        checked
            Whether to answer the bags' log-odds and the checks too, which a `Score` needs.
        """
        weights = None if days is None else edge_weights(self.edges, days, as_of_us=as_of)
        return self._scored(
            history, deal, as_of, weights, feeds or self.trained_feeds, checked=checked
        )

    def probabilities(self, scored: Scored, days: Sequence[float]) -> Floats:
        """P(won within each of `days`) of scored deals. Shape (S, len(days))."""
        weights = edge_weights(self.edges, np.asarray(days, dtype=np.float64))
        return np.stack([probability(scored.eta, w) for w in weights], axis=1)

    def intervals(self, scored: Scored, days: Floats) -> tuple[Floats, Floats]:
        """The 80 % intervals of P(won within `days`) of checked deals.

        Parameters
        ----------
        days
            One for each deal, shape (S,), or the same for all.

        Returns
        -------
        tuple
            Low and high, each of shape (S,).
        """
        if scored.eta_bags is None:
            raise ScoreError("deals scored without checks", "checked ones", "ask for checks")
        weights = edge_weights(self.edges, np.broadcast_to(days, scored.is_open.shape))
        bags = log_odds(scored.eta_bags, weights[:, None, :])
        return interval(log_odds(scored.eta, weights), bags.T, self.artifact.missed)

    def _scored(
        self,
        history: History,
        deal: Ints,
        as_of: Ints,
        weights: Floats | None,
        feeds: Feeds,
        *,
        checked: bool,
    ) -> Scored:
        vocabulary = self.features.vocabulary
        codes = vocabulary.codes(history)
        coverage = self._coverage(feeds, tuple(history.sources))
        step = max(1, CELLS_AT_ONCE // vocabulary.size)
        parts = []
        for first in range(0, max(len(deal), 1), step):
            part = slice(first, first + step)
            asof = AsOf(history, vocabulary, codes, deal[part], as_of[part], coverage)
            own = None if weights is None else weights[part]
            parts.append(self._scored_part(asof, own, checked=checked))
        return parts[0] if len(parts) == 1 else joined(parts)

    def _coverage(self, feeds: Feeds, sources: tuple[str, ...]) -> Coverage:
        """What the feeds carry for a history's sources; made once for those of training."""
        if feeds is not self.trained_feeds:
            return Coverage(feeds, sources)
        found = self._coverages.get(sources)
        if found is None:
            if len(self._coverages) >= MOST_COVERAGES:
                self._coverages.clear()
            found = self._coverages[sources] = Coverage(feeds, sources)
        return found

    def _scored_part(self, asof: AsOf, weights: Floats | None, *, checked: bool) -> Scored:
        is_open = asof.is_open
        x = self.features.of(asof, self.rates)
        bins = self.artifact.grid.bin(x)
        intercept = self.tables.intercept
        eta_bags = None
        if weights is None:
            eta = self.tables.eta(bins)
            eta_bags = self.artifact.eta_bags(bins) if checked else None
            split = None
        else:
            if checked:
                contributions, eta_bags = self.artifact.contributions_and_bags(bins)
            else:
                contributions = self.tables.contributions(bins)
            eta = intercept + np.add.reduce(contributions, axis=1)
            split = (
                drivers_of_one(intercept, contributions[0], weights[0])
                if asof.size == 1
                else drivers(intercept, contributions, weights)
            )
        checks = self._checks(asof, x) if checked else []
        if not is_open.all():
            eta[~is_open] = np.nan
        return Scored(
            is_open=is_open,
            x=x,
            eta=eta,
            split=split,
            weights=weights,
            eta_bags=eta_bags,
            checks=checks,
        )

    def _checks(self, asof: AsOf, x: Floats) -> list[Checks | None]:
        """What is to be said of each deal; None where it is not open."""
        found: list[Checks | None] = [None] * asof.size
        rows = np.flatnonzero(asof.is_open).tolist()
        snapshots = [asof.snapshots[row] for row in rows]
        unusual = self.seen_ranges.unusual(x[rows], snapshots)
        for row, snapshot, own in zip(rows, snapshots, unusual, strict=True):
            found[row] = Checks(
                gates=snapshot.once(find_gates),
                data_quality=data_quality(snapshot, self.rhythm_days),
                unusual=own,
            )
        return found

    def scores(
        self,
        history: History,
        deal: Ints,
        as_of: Ints,
        days: Floats,
        scored: Scored,
        close_by: date | None,
        most: int | None = MAIN_DRIVERS,
    ) -> list[Score]:
        """The open ones of scored deals as `Score` objects.

        Parameters
        ----------
        deal, as_of, days
            As given to `score_many`, with drivers and checks asked for. Shape (S,).
        """
        return [
            self._score(
                history.deal_ids[deal[row]],
                int(as_of[row]),
                float(days[row]),
                close_by,
                scored,
                row,
                bool(as_of[row] < self.known_before),
                most,
            )
            for row in np.flatnonzero(scored.is_open).tolist()
        ]

    def _score(
        self,
        deal_id: str,
        now: int,
        ahead: float,
        close_by: date | None,
        scored: Scored,
        row: int,
        hindsight: bool,
        most: int | None,
    ) -> Score:
        checks = scored.checks[row] if scored.checks else None
        weights, eta_bags = scored.weights, scored.eta_bags
        if scored.split is None or weights is None or eta_bags is None or checks is None:
            raise ScoreError(
                "deals scored without drivers or checks", "both", "ask score_many for them"
            )
        scorable = checks.scorable
        start = from_microseconds(now)
        own, average, other = None, None, None
        main: tuple[Driver, ...] = ()
        curve: tuple[CurvePoint, ...] = ()
        spread = None
        if scorable:
            own, average = float(scored.split.probability[row]), float(scored.split.average[row])
            main, other = self._drivers(scored.x[row], scored.split.points[row], most)
            spread, curve = self._curve(scored.eta[row], eta_bags[row], start, weights[row])
        return Score(
            schema_version=SCORE_SCHEMA,
            deal_id=deal_id,
            as_of=start.isoformat(),
            close_by=None if close_by is None else close_by.isoformat(),
            days=ahead,
            probability=own,
            interval=spread,
            gates=gate(checks.gates, own),
            average_probability=average,
            drivers=main,
            other_points=other,
            curve=curve,
            change=None,
            data_quality=checks.data_quality,
            unusual=checks.unusual,
            basis=self.basis,
            model_version=self.artifact.model_version,
            hindsight=hindsight,
        )

    def _drivers(
        self, x: Floats, points: Floats, most: int | None
    ) -> tuple[tuple[Driver, ...], float]:
        """The strongest drivers, and what all others add."""
        order = np.argsort(-np.abs(points), kind="stable")
        order = order[: len(points) if most is None else most].tolist()
        values, xs = points.tolist(), x.tolist()
        main = tuple([self.driver(j, xs[j], values[j]) for j in order if values[j]])
        return main, float(np.add.reduce(points)) - sum([driver.points for driver in main])

    def _curve(
        self, eta: Floats, eta_bags: Floats, start: datetime, weights: Floats
    ) -> tuple[Interval, tuple[CurvePoint, ...]]:
        """The interval of the date asked about, and the curve at the edges with theirs."""
        dates = np.concatenate([weights[None], self._edge_weights])
        # The deal's own and each bag's, by each date at once.
        told = log_odds_by_date(np.concatenate([eta[None], eta_bags]), dates)
        low, high = interval(told[0], told[1:], self.artifact.missed)
        shown = probability_of(told[0])
        ends = list(zip(shown.tolist(), low.tolist(), high.tolist(), strict=True))
        curve = tuple(
            [
                CurvePoint(
                    days=days, by=(start + passed).isoformat(), probability=p, low=lo, high=hi
                )
                for (days, passed), (p, lo, hi) in zip(self._edge_days, ends[1:], strict=True)
            ]
        )
        return Interval(low=ends[0][1], high=ends[0][2]), curve

    def driver(self, column: int, x: float, points: float) -> Driver:
        """One feature's part in words.

        Parameters
        ----------
        column
            Index into the features.
        x
            The matrix entry.
        points
            What it adds.
        """
        feature = self.features.features[column]
        value = self.features.value(column, x)
        return Driver(feature=feature.name, value=value, points=points, phrase=say(feature, value))
