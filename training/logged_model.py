"""A candidate as a model that `mlflow.pyfunc` loads: code, an artifact of numbers, no pickle."""

from __future__ import annotations

import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from model.artifact import Artifact
from training.candidate import ARTIFACT, Candidate

NEEDED: Final = ("mlflow", "numpy", "pandas", "pyarrow")  # by the logged model
OWN_WARNINGS: Final = (
    "The ``noload`` loader strategy is deprecated",  # of its database mappings
    "Operation with range is deprecated",  # of its look at a frame's columns
    ".*Any type hint is inferred as AnyType",  # of its own classes, when imported
)


def ignore_its_own() -> None:
    """Drop the warnings of MLflow's own code, which nobody who uses it can mend."""
    for message in OWN_WARNINGS:
        warnings.filterwarnings("ignore", message)


def save_flavour(folder: Path, candidate: Candidate, place: Path) -> None:
    """Save the candidate as a model that `mlflow.pyfunc` loads: code and numbers, no pickle.

    Parameters
    ----------
    folder
        The candidate's.
    place
        Where; it must not be there.
    """
    import pandas as pd
    from mlflow.models import ModelSignature

    root = Path(__file__).parents[1]
    artifact = Artifact.load(folder / ARTIFACT)
    inputs, outputs, params = _signature(artifact)
    example = pd.DataFrame(candidate.example)
    with warnings.catch_warnings():
        ignore_its_own()
        import mlflow.pyfunc

        mlflow.pyfunc.save_model(
            str(place),
            python_model=str(root / "training" / "flavour.py"),
            artifacts={"artifact": str(folder / ARTIFACT)},
            code_paths=[str(root / "model")],
            signature=ModelSignature(inputs=inputs, outputs=outputs, params=params),
            input_example=example,
            pip_requirements=[f"{name}=={version(name)}" for name in NEEDED],
            metadata={"model_version": candidate.model_version},
        )


def _signature(artifact: Artifact) -> tuple[Any, Any, Any]:
    """The columns of events and of features, each of which may be left out, and the answer."""
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema
    from mlflow.types.schema import AnyType, Array, Object, Property

    from model.event_table import EVENT_SCHEMA
    from model.feature_rows import usual_days
    from model.features import FeatureSet

    def spec(kind: Any, name: str) -> Any:
        return ColSpec(kind, name, required=False)

    # Times come as timestamps with a zone or as texts with an offset; no type holds both.
    anything: Any = AnyType  # its constructor has no types
    kinds = dict.fromkeys(("occurred_at", "known_at", "date"), anything())
    kinds |= dict.fromkeys(("number", "span"), "double")
    events = [spec(kinds.get(name, "string"), name) for name in EVENT_SCHEMA.names]
    features = [
        spec("string" if feature.is_category else "double", feature.name)
        for feature in FeatureSet.from_json(artifact.features).features
    ]
    point = Object([Property(n, "double") for n in ("days", "probability", "low", "high")])
    driver = Object(
        [Property("feature", "string"), Property("points", "double"), Property("phrase", "string")]
    )
    outputs: list[Any] = [ColSpec("string", "deal_id")]
    outputs += [spec("double", name) for name in ("probability", "low", "high", "average")]
    outputs += [ColSpec(Array(point), "curve"), ColSpec(Array(driver), "drivers")]
    params = [
        ParamSpec("days", "double", usual_days(artifact.edges)),
        ParamSpec("as_of", "string", ""),
        ParamSpec("drivers", "long", 10),
    ]
    return Schema(events + features), Schema(outputs), ParamSchema(params)
