"""What scoring many deals answers: columns, and what is to be said of each deal beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from model.data_quality import DataQuality
from model.drivers import Drivers
from model.gates import Gate
from model.history import Floats
from model.unusual import Unusual


@dataclass(frozen=True, kw_only=True, slots=True)
class Checks:
    """What a deal's probability does not tell.

    Parameters
    ----------
    gates
        Its must-hit milestones.
    data_quality
        What is known of it, judged.
    unusual
        Values outside what training saw.
    """

    gates: tuple[Gate, ...]
    data_quality: DataQuality
    unusual: tuple[Unusual, ...]

    @property
    def scorable(self) -> bool:
        """Whether the deal may be given a number."""
        return self.data_quality.verdict != "unscorable"


@dataclass(frozen=True, kw_only=True, eq=False)
class Scored:
    """Many deals scored at once, as columns.

    Parameters
    ----------
    is_open
        Whether the deal was open as known; the other rows hold NaN. Shape (S,).
    x
        The features. Shape (S, F).
    eta
        Calibrated log-odds. Shape (S, B).
    split
        Probability, average and points for the days asked; None if drivers were not asked for.
    weights
        Of the edges by the days asked. Shape (S, B). None if drivers were not asked for.
    eta_bags
        Log-odds under each bag. Shape (S, bags, B). None if checks were not asked for.
    checks
        What else is to be said of each open deal, None for the others; empty if not asked for.
    """

    is_open: NDArray[np.bool_]
    x: Floats
    eta: Floats
    split: Drivers | None
    weights: Floats | None = None
    eta_bags: Floats | None = None
    checks: list[Checks | None] = field(default_factory=list)

    @property
    def scorable(self) -> NDArray[np.bool_]:
        """Whether each deal is open and may be given a number; empty without checks. Shape (S,)."""
        return np.array([each is not None and each.scorable for each in self.checks], dtype=bool)


def joined(parts: Sequence[Scored]) -> Scored:
    """Deals scored in parts, as one."""
    splits = [part.split for part in parts if part.split is not None]
    weights = [part.weights for part in parts if part.weights is not None]
    bags = [part.eta_bags for part in parts if part.eta_bags is not None]
    return Scored(
        is_open=np.concatenate([part.is_open for part in parts]),
        x=np.concatenate([part.x for part in parts]),
        eta=np.concatenate([part.eta for part in parts]),
        split=Drivers(
            probability=np.concatenate([split.probability for split in splits]),
            average=np.concatenate([split.average for split in splits]),
            points=np.concatenate([split.points for split in splits]),
        )
        if splits
        else None,
        weights=np.concatenate(weights) if weights else None,
        eta_bags=np.concatenate(bags) if bags else None,
        checks=[check for part in parts for check in part.checks],
    )
