"""Learning: from events to an artifact, and the proof that it holds.

For notebooks: ``from training import deal_data, feature_table, curve_table, DealClassifier``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from training.estimator import DealClassifier
    from training.notebook import DealData, curve_table, deal_data, feature_table

__all__ = ["DealClassifier", "DealData", "curve_table", "deal_data", "feature_table"]


def __getattr__(name: str) -> Any:
    """What notebooks ask for, imported on use: it loads pandas and scikit-learn."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from training import estimator, notebook

    return getattr(estimator if name == "DealClassifier" else notebook, name)
