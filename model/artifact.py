"""An artifact: everything a score needs beside a deal's own events, and nothing that runs.

A directory of three files: ``model.json`` (edges, grid, calibration, what the features need, and
facts about the training), ``tables.npz`` (the tables of every bag, plain arrays) and the manifest
that seals them (`model.sealed`). Nothing in it is ever unpickled or executed.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from model.errors import ArtifactError, RedflareError
from model.grid import BinArray, Grid, GridFeature
from model.hazard import FloatArray, check_edges
from model.interval import missed_by_all
from model.sealed import from_json, read_sealed, refuse, to_json, write_sealed
from model.tables import Calibration, Tables

SCHEMA_VERSION: Final = 2
MODEL: Final = "model.json"
TABLES: Final = "tables.npz"
FILES: Final = frozenset({MODEL, TABLES})
MODEL_KEYS: Final = frozenset(
    {
        "bag_calibrations",
        "calibration",
        "edges",
        "facts",
        "features",
        "grid",
        "model_version",
        "schema_version",
    }
)
DTYPES: Final = {
    "intercepts": "<f8",
    "left_groups": "|u1",
    "mains": "<f8",
    "pairs": "<i4",
    "right_groups": "|u1",
    "values": "<f8",
}
LARGEST_TABLES: Final = 2**31  # bytes when unpacked; more is an attack or a fault
EPOCH_OF_ZIP: Final = (1980, 1, 1, 0, 0, 0)  # one content, one file, whenever it is written


@dataclass(frozen=True, kw_only=True, eq=False)
class Artifact:
    """A trained model with what its features need.

    Parameters
    ----------
    edges
        Horizon edges ``0 = e_0 < ... < e_B``, days; [B + 1].
    grid
        The bins of every feature, in the order of the feature matrix.
    tables
        Effects of every bag, before calibration.
    calibration
        Of each edge.
    bag_calibrations
        For each bag a calibration refitted to deals drawn anew, so that intervals tell of the
        calibration's own error; empty where every bag has the common one.
    features
        What computing the features needs: names, vocabularies. JSON alone, and the order of
        keys is not kept: what has an order belongs in a list.
    facts
        What is to be known about the training: owners' and accounts' wins, feeds, cut-off,
        metrics, base rates. JSON alone, as above.

    Raises
    ------
    ArtifactError
        If the parts do not fit together, or JSON cannot hold `features` or `facts` unchanged.

    Examples
    --------
    >>> grid = Grid((GridFeature(name="contacts", thresholds=(2.5,), direction=1),))
    >>> tables = Tables(bins=grid.bins, intercepts=np.array([[-2.0]]),
    ...     mains=np.array([[[[-0.5, 0.5, 0.0, 0.0]]]]), pairs=np.empty((0, 2), dtype=np.intp),
    ...     left_groups=np.empty((1, 1, 0, 4), dtype=np.uint8),
    ...     right_groups=np.empty((1, 1, 0, 4), dtype=np.uint8), values=np.empty(0))
    >>> artifact = Artifact(edges=np.array([0.0, 30.0]), grid=grid, tables=tables,
    ...     calibration=Calibration.none(1), features={}, facts={"known_before": "2026-01-05"})
    >>> artifact.model_version
    'm-...'
    >>> artifact.calibrated.eta(grid.bin(np.array([[4.0]])))
    array([[-1.5]])
    """

    edges: FloatArray
    grid: Grid
    tables: Tables
    calibration: Calibration
    features: dict[str, Any]
    facts: dict[str, Any]
    bag_calibrations: tuple[Calibration, ...] = ()

    def __post_init__(self) -> None:
        try:
            check_edges(self.edges)
        except RedflareError as error:
            refuse(f"an artifact with {error.given}", error.expected, error)
        if not self.tables.fits(self.grid):
            refuse("tables over other bins than the grid's", "the bins of the grid")
        edges = len(self.edges) - 1
        if self.tables.edges != edges or len(self.calibration.slopes) != edges:
            refuse(
                f"tables of {self.tables.edges} edges and a calibration of "
                f"{len(self.calibration.slopes)}",
                f"{edges} in both, as the horizon has",
            )
        drawn = self.bag_calibrations
        if drawn and [len(each.slopes) for each in drawn] != [edges] * self.tables.bags:
            refuse(
                f"{len(drawn)} calibrations of bags",
                f"none, or {self.tables.bags} of {edges} edges, as many as bags",
            )
        for name, value in (("features", self.features), ("facts", self.facts)):
            _check_json(name, value)

    @property
    def schema_version(self) -> int:
        """The version of the schema that this program writes."""
        return SCHEMA_VERSION

    @cached_property
    def model_version(self) -> str:
        """The artifact's id: a hash of all it holds, so that equal ids mean equal scores."""
        digest = hashlib.sha256(to_json(self._document()))
        for name, array in self._arrays().items():
            digest.update(f"{name}{array.shape}".encode())
            digest.update(array.tobytes())
        return f"m-{digest.hexdigest()[:16]}"

    @cached_property
    def calibrated(self) -> Tables:
        """The tables that score: calibrated, ready to look up."""
        return self.tables.calibrated(self.calibration)

    @cached_property
    def missed(self) -> float:
        """What all bags miss, for `model.interval`: log-odds, standard deviation."""
        return missed_by_all(self.facts.get("training", {}).get("won"))

    @cached_property
    def _bag_lines(self) -> tuple[FloatArray, FloatArray]:
        # Intercepts and slopes [bags, B] from the calibrated log-odds to each bag's own.
        own = self.bag_calibrations or (self.calibration,) * self.tables.bags
        slopes = np.stack([each.slopes for each in own]) / self.calibration.slopes
        intercepts = np.stack([each.intercepts for each in own])
        return intercepts - slopes * self.calibration.intercepts, slopes

    def eta_bags(self, bins: BinArray) -> FloatArray:
        """Log-odds of each edge's hazard under each bag, each with its own calibration.

        Parameters
        ----------
        bins
            `Grid.bin` of the features; [rows, F].

        Returns
        -------
        FloatArray
            [rows, bags, B].
        """
        return self._own_line(self.calibrated.eta_bags(bins))

    def contributions_and_bags(self, bins: BinArray) -> tuple[FloatArray, FloatArray]:
        """The calibrated contributions, and what `eta_bags` answers, at once."""
        contributions, eta = self.calibrated.contributions_and_bags(bins)
        return contributions, self._own_line(eta)

    def _own_line(self, eta_bags: FloatArray) -> FloatArray:
        intercepts, slopes = self._bag_lines
        return np.asarray(intercepts + slopes * eta_bags)

    def save(self, directory: Path) -> None:
        """Write the artifact; an earlier artifact in that place is replaced whole.

        Parameters
        ----------
        directory
            Where.

        Raises
        ------
        ArtifactError
            If something else than an artifact is there.
        """
        document = self._document() | {
            "model_version": self.model_version,
            "schema_version": SCHEMA_VERSION,
        }
        files = {MODEL: to_json(document), TABLES: _pack(self._arrays())}
        write_sealed(directory, files, schema_version=SCHEMA_VERSION)

    @classmethod
    def load(cls, directory: Path) -> Artifact:
        """Read an artifact, checked against its manifest before anything is used.

        Parameters
        ----------
        directory
            Where `save` wrote it.

        Returns
        -------
        Artifact
            Equal to the one saved.

        Raises
        ------
        ArtifactError
            If it is damaged, incomplete, inconsistent or of a newer schema.
        """
        contents = read_sealed(Path(directory), FILES, schema_version=SCHEMA_VERSION)
        document = from_json(MODEL, contents[MODEL])
        if set(document) != MODEL_KEYS:
            odd = sorted(set(document) ^ MODEL_KEYS)
            refuse(f"{MODEL} with missing or unknown {', '.join(odd)}", f"{sorted(MODEL_KEYS)}")
        arrays = _unpack(contents[TABLES])
        try:
            artifact = _build(document, arrays)
        except RedflareError as error:
            refuse(f"an artifact with {error.given}", error.expected, error)
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            refuse(f"{MODEL} with a value that cannot be ({error})", "what redflare wrote", error)
        if artifact.model_version != document["model_version"]:
            refuse(
                f"{MODEL} that names its model {document['model_version']!r}",
                f"{artifact.model_version!r}, as its content says",
            )
        return artifact

    def _document(self) -> dict[str, Any]:
        return {
            "bag_calibrations": [_lines(each) for each in self.bag_calibrations],
            "calibration": _lines(self.calibration),
            "edges": self.edges.tolist(),
            "facts": self.facts,
            "features": self.features,
            "grid": [
                {
                    "categories": feature.categories,
                    "direction": feature.direction,
                    "name": feature.name,
                    "thresholds": list(feature.thresholds),
                }
                for feature in self.grid.features
            ],
        }

    def _arrays(self) -> dict[str, NDArray[Any]]:
        return {
            name: np.ascontiguousarray(getattr(self.tables, name), dtype=dtype)
            for name, dtype in DTYPES.items()
        }


def _build(document: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Artifact:
    grid = Grid(tuple(_feature(**entry) for entry in document["grid"]))
    tables = Tables(
        bins=grid.bins,
        intercepts=arrays["intercepts"],
        mains=arrays["mains"],
        pairs=arrays["pairs"].astype(np.intp),
        left_groups=arrays["left_groups"],
        right_groups=arrays["right_groups"],
        values=arrays["values"],
    )
    return Artifact(
        edges=np.asarray(document["edges"], dtype=np.float64),
        grid=grid,
        tables=tables,
        calibration=_calibration(document["calibration"]),
        bag_calibrations=tuple(_calibration(each) for each in document["bag_calibrations"]),
        features=document["features"],
        facts=document["facts"],
    )


def _lines(calibration: Calibration) -> dict[str, list[float]]:
    return {
        "intercepts": calibration.intercepts.tolist(),
        "slopes": calibration.slopes.tolist(),
    }


def _calibration(lines: dict[str, list[float]]) -> Calibration:
    return Calibration(**{name: np.asarray(v, dtype=np.float64) for name, v in lines.items()})


def _feature(
    *, name: object, thresholds: list[float], categories: object, direction: object
) -> GridFeature:
    if not isinstance(name, str) or type(direction) is not int:
        raise TypeError(f"grid feature {name!r} of direction {direction!r}")
    if categories is not None and type(categories) is not int:
        raise TypeError(f"grid feature {name!r} of {categories!r} categories")
    cuts = tuple(float(cut) for cut in thresholds)
    return GridFeature(name=name, thresholds=cuts, categories=categories, direction=direction)


def _check_json(name: str, value: object) -> None:
    try:
        same = isinstance(value, dict) and from_json(name, to_json(value)) == value
    except (TypeError, ValueError, RecursionError) as error:
        reason = f" ({error})"
    else:
        if same:
            return
        reason = ""
    raise ArtifactError(
        f"{name} that JSON does not hold unchanged{reason}",
        "a dict of texts, finite numbers, lists and dicts with text keys",
        "convert its values, with None for what is missing",
    )


def _pack(arrays: dict[str, NDArray[Any]]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, array, allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=EPOCH_OF_ZIP)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content.getvalue())
    return packed.getvalue()


def _unpack(content: bytes) -> dict[str, NDArray[Any]]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > LARGEST_TABLES:
            refuse(f"{TABLES} of {size} bytes when unpacked", f"at most {LARGEST_TABLES}")
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except ArtifactError:
        raise
    except (
        EOFError,
        MemoryError,
        NotImplementedError,
        OSError,
        ValueError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        refuse(f"{TABLES} that holds no plain arrays ({error})", "what redflare wrote", error)
    for name in sorted(arrays.keys() | DTYPES.keys()):
        found = arrays[name].dtype.str if name in arrays else "missing"
        if found != DTYPES.get(name):
            refuse(f"{TABLES} with {name} {found}", f"{name} {DTYPES.get(name, 'left out')}")
    return arrays
