"""One part of a company looked at from several moments: each pipeline and each score made once.

A score does not depend on the period that is asked about, so that the moments of a trend, of the
last weeks and of the review itself share theirs.
"""

from __future__ import annotations

import numpy as np

from model.feeds import Feeds
from model.history import History
from model.outlook import chances_of, converted, cut_moments
from model.period import Period
from model.pipeline import Deal, pipeline
from model.scored import Scored
from model.scorer import Scorer
from service.review.question import Question
from service.review.week import Week, in_period


class Looks:
    """Looks at whole deals.

    Parameters
    ----------
    history
        Of these deals.
    question
        Whose segment and rates count; its week and period do not.
    """

    def __init__(self, history: History, question: Question) -> None:
        self.history = history
        self._question = question
        self._deals: dict[int, list[Deal]] = {}
        self._scored: dict[tuple[Scorer, int], Scored] = {}

    def week(self, scorer: Scorer | None, as_of: int, period: Period, feeds: Feeds | None) -> Week:
        """The deals as known at a moment.

        Parameters
        ----------
        scorer
            Of the artifact in force then; None leaves all probabilities out.
        as_of
            Microseconds since 1970 UTC.
        feeds
            What the scorer is told of them at that moment, as `Scorer.feeds` gives them.

        Raises
        ------
        HorizonError
            If the period ends past what the artifact answers.
        """
        deals = self._known(as_of)
        opened = [deal for deal in deals if deal.status == "open"]
        of_open = None
        if scorer is not None and as_of < period.end_us:
            until = cut_moments(period, as_of)
            of_open = chances_of(scorer, None, as_of, until)
            if opened:
                of_open = chances_of(scorer, self.scored(scorer, as_of, feeds), as_of, until)
        shown = {}
        if of_open is not None:
            inside = in_period(of_open, period, as_of)
            shown = {
                deal.deal_id: float(p)
                for deal, p, ok in zip(opened, inside, of_open.scorable, strict=True)
                if ok
            }
        return Week(as_of=as_of, deals=deals, opened=opened, of_open=of_open, shown=shown)

    def scored(self, scorer: Scorer, as_of: int, feeds: Feeds | None) -> Scored:
        """The deals open as known at a moment, in the order of `Week.opened`; at least one."""
        found = self._scored.get((scorer, as_of))
        if found is None:
            opened = [deal.index for deal in self._known(as_of) if deal.status == "open"]
            moments = np.full(len(opened), as_of, dtype=np.int64)
            deal = np.array(opened, dtype=np.int64)
            found = scorer.score_many(self.history, deal, moments, None, feeds, checked=True)
            self._scored[scorer, as_of] = found
        return found

    def _known(self, as_of: int) -> list[Deal]:
        found = self._deals.get(as_of)
        if found is None:
            question = self._question
            found = pipeline(self.history, as_of, question.segment)
            if question.rates is not None:
                found = converted(found, question.rates.worth, question.rates.reporting)
            self._deals[as_of] = found
        return found
