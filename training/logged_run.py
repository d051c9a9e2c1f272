"""A candidate as a run on MLflow: parameters, figures, data, files and the loadable model."""

from __future__ import annotations

import json
import os
import re
import socket
import tempfile
from pathlib import Path
from typing import Any, Final

from training.candidate import Candidate
from training.logged_model import save_flavour
from training.version import TAG

HOST: Final = f"{TAG}host"
PROCESS: Final = f"{TAG}process"
MODEL: Final = "model"  # the artifact path of the loadable model


def end_killed(client: Any, experiment: str, candidate: Candidate) -> None:
    """End the runs of a candidate whose logging was killed: it is logged anew.

    Parameters
    ----------
    client
        An ``MlflowClient``.
    experiment
        Its id.
    """
    same = f"tags.\"{TAG}created_at\" = '{candidate.created_at}'"
    running = f"{same} and attributes.status = 'RUNNING'"
    for run in client.search_runs([experiment], running):
        client.set_terminated(run.info.run_id, "KILLED")


def end_dead(client: Any, experiment: str) -> None:
    """End the runs that processes of this machine were logging when they were killed.

    A run of another machine is left: whether its process lives is not seen from here.

    Parameters
    ----------
    client
        An ``MlflowClient``.
    experiment
        Its id.
    """
    here = f"tags.\"{HOST}\" = '{socket.gethostname()}' and attributes.status = 'RUNNING'"
    for run in client.search_runs([experiment], here):
        if not _lives(int(run.data.tags[PROCESS])):
            client.set_terminated(run.info.run_id, "KILLED")


def _lives(process: int) -> bool:
    """Whether another process has a number; whoever asks is not logging yet."""
    if process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # somebody else's
    return True


def log_run(client: Any, experiment: str, folder: Path, candidate: Candidate) -> str:
    """Log a candidate and its files; the run's id.

    Parameters
    ----------
    client
        An ``MlflowClient``.
    experiment
        Its id.
    folder
        The candidate's.
    """
    from mlflow.entities import (
        Dataset,
        DatasetInput,
        InputTag,
        Metric,
        Param,
        RunTag,
    )

    run = client.create_run(experiment, run_name=candidate.model_version, tags=_run_tags(candidate))
    run_id, at = str(run.info.run_id), run.info.start_time
    metrics = [Metric(_safe(k), v, at, 0) for k, v in sorted(candidate.metrics.items())]
    params = [Param(_safe(k), str(v)) for k, v in sorted(candidate.parameters.items())]
    for first in range(0, len(metrics), 500):
        client.log_batch(run_id, metrics=metrics[first : first + 500])
    client.log_batch(run_id, params=params[:100], tags=[RunTag(f"{TAG}kind", "retrain")])
    data = candidate.dataset
    client.log_inputs(
        run_id,
        [
            DatasetInput(
                Dataset(
                    name=data["name"],
                    digest=data["digest"],
                    source_type="local",
                    source=json.dumps({"uri": data["source"]}),
                    profile=json.dumps(data["profile"]),
                ),
                [InputTag("mlflow.data.context", "training")],
            )
        ],
    )
    for each in sorted(folder.iterdir()):
        if each.is_dir():
            client.log_artifacts(run_id, str(each), each.name)
        else:
            client.log_artifact(run_id, str(each))
    with tempfile.TemporaryDirectory() as place:
        save_flavour(folder, candidate, Path(place) / MODEL)
        client.log_artifacts(run_id, str(Path(place) / MODEL), MODEL)
    client.set_terminated(run_id)
    return run_id


def _run_tags(candidate: Candidate) -> dict[str, str]:
    tags = {
        "mlflow.source.name": "redflare retrain",
        "mlflow.source.type": "JOB",
        "mlflow.user": candidate.created_by,
        "mlflow.note.content": "\n\n".join(candidate.why),
        f"{TAG}created_at": candidate.created_at,
        HOST: socket.gethostname(),
        PROCESS: str(os.getpid()),
    }
    tags |= {f"{TAG}code_{key}": value for key, value in candidate.code.items()}
    if "commit" in candidate.code:
        tags["mlflow.source.git.commit"] = candidate.code["commit"]
    return tags


def _safe(name: str) -> str:
    """A name that MLflow takes: what it does not allow, also as a part of a path, becomes "_".

    Examples
    --------
    >>> _safe("log_loss/stage/R&D"), _safe("log_loss/stage/N/A/"), _safe("log_loss/stage/..")
    ('log_loss/stage/R_D', 'log_loss/stage/N/A/_', 'log_loss/stage/_')
    """
    parts = re.sub(r"[^\w./: -]", "_", name)[:249].split("/")
    return "/".join("_" if part in {"", ".", ".."} else part for part in parts)
