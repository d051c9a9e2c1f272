"""A retraining that is killed with SIGKILL at a step: nothing is flushed, nothing is undone.

Each is forked from a process that has imported all that it needs, MLflow too, and opened nothing.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import pytest

from service.cli import main
from tests.training.desks import quick
from training import retrain

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(
    [__name__, "mlflow.pyfunc", "training.flavour", "training.retrain_command", "model.drawing"]
)


def work(arguments: Sequence[str], step: str, calls: int, done: retrain.Retraining | None) -> None:
    """Run the command until a step is called so often, its training given or done anew.

    Parameters
    ----------
    step
        ``module:name`` or ``module:class.method``.
    done
        What the training would come to; None to train.
    """
    place, _, name = step.partition(":")
    owner: Any = import_module(place)
    *outer, name = name.split(".")
    for each in outer:
        owner = getattr(owner, each)
    called, left = getattr(owner, name), [calls]

    def killing(*given: Any, **named: Any) -> Any:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return called(*given, **named)

    with quick(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, killing)
        if done is not None:
            patch.setattr(retrain, "retrain", lambda *_: done)
        main(arguments)


def is_killed(
    arguments: Sequence[str], step: str, calls: int, done: retrain.Retraining | None
) -> bool:
    """Whether the command was killed at the step, in a process of its own."""
    process = SERVER.Process(target=work, args=(arguments, step, calls, done))
    process.start()
    process.join()
    return process.exitcode == -signal.SIGKILL
