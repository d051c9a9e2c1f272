"""The company's own features, as named in the configuration."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

VARIABLE: Final = "REDFLARE_FEATURES"  # of `model.own_features` too, which --help does not load


def declare_named(environment: Mapping[str, str]) -> None:
    """Run the files of own features that the environment names, if it names any.

    Parameters
    ----------
    environment
        For instance ``os.environ``.

    Raises
    ------
    OwnFeaturesError
        If one cannot be used.

    Examples
    --------
    >>> declare_named({})
    """
    named = [path for path in environment.get(VARIABLE, "").split(os.pathsep) if path]
    if named:
        from model.own_features import declare  # so that --help loads no NumPy

        for path in named:
            declare(Path(path))
