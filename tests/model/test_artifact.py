from __future__ import annotations

import io
import json
import pickle
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.artifact import FILES, MODEL, SCHEMA_VERSION, TABLES, Artifact
from model.errors import ArtifactError
from model.grid import Grid, GridFeature
from model.sealed import MANIFEST, to_json, write_sealed
from model.tables import Calibration, Tables


def random_tables(grid, *, bags, edges, pairs, coarse_bins, seed=0):
    rng = np.random.default_rng(seed)
    features = len(grid)
    every = np.stack(np.triu_indices(features, 1), axis=1)
    chosen = np.sort(rng.choice(len(every), pairs, replace=False))
    steps = rng.random((2, bags, edges, pairs, grid.width - 1)) < (
        (coarse_bins - 1) / (grid.width - 1)
    )
    groups = np.concatenate([np.zeros((*steps.shape[:-1], 1)), steps.cumsum(-1)], axis=-1)
    left, right = groups.astype(np.uint8)
    sizes = (left[..., -1].astype(int) + 1) * (right[..., -1].astype(int) + 1)
    return Tables(
        bins=grid.bins,
        intercepts=rng.normal(size=(bags, edges)),
        mains=rng.normal(size=(bags, edges, features, grid.width)),
        pairs=every[chosen],
        left_groups=left,
        right_groups=right,
        values=rng.normal(size=int(sizes.sum())),
    )


def artifact(**overrides):
    grid = Grid(
        (
            GridFeature(name="silence_days", thresholds=(3.5, 0.1 + 9.0, 1e300), direction=-1),
            GridFeature(name="stage", categories=3),
            GridFeature(name="amount"),
        )
    )
    parts = {
        "edges": np.array([0.0, 7.0, 30.0]),
        "grid": grid,
        "tables": random_tables(grid, bags=2, edges=2, pairs=2, coarse_bins=3),
        "calibration": Calibration(intercepts=np.array([0.1, -0.2]), slopes=np.array([0.9, 1 / 3])),
        "features": {"stage": ["Angebot", "谈判", "closing"], "missing": None},
        "facts": {"known_before": "2026-01-05", "win_rate": 0.1 + 0.2, "deals": 412},
    }
    return Artifact(**(parts | overrides))


def contents(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def forge(directory, *, document=None, arrays=None, raw_tables=None):
    """A sealed artifact with other content: what no honest program wrote."""
    artifact().save(directory)
    model = json.loads((directory / MODEL).read_bytes())
    if document is not None:
        document(model)
    tables = (directory / TABLES).read_bytes()
    if arrays is not None:
        with np.load(io.BytesIO(tables)) as stored:
            changed = dict(stored)
        arrays(changed)
        packed = io.BytesIO()
        np.savez(packed, **changed)
        tables = packed.getvalue()
    files = {MODEL: to_json(model), TABLES: raw_tables or tables}
    write_sealed(directory, files, schema_version=SCHEMA_VERSION)


def test_an_artifact_comes_back_as_it_was_saved(tmp_path):
    saved = artifact()
    saved.save(tmp_path / "a")
    loaded = Artifact.load(tmp_path / "a")
    assert loaded.grid == saved.grid
    assert loaded.features == saved.features
    assert loaded.facts == saved.facts
    assert loaded.edges.tolist() == saved.edges.tolist()
    assert loaded.calibration.slopes.tolist() == saved.calibration.slopes.tolist()
    assert loaded.model_version == saved.model_version
    assert loaded.schema_version == SCHEMA_VERSION
    bins = saved.grid.bin(np.array([[4.0, 1.0, np.nan], [np.nan, -1.0, 2.0], [1.0, 2.0, 2.0]]))
    for rows in (bins, bins[:1]):
        for part in ("eta", "eta_bags", "contributions"):
            before = getattr(saved.calibrated, part)(rows)
            assert (getattr(loaded.calibrated, part)(rows) == before).all()


def test_equal_content_makes_equal_files_and_other_content_another_version(tmp_path):
    artifact().save(tmp_path / "a")
    artifact(features=dict(reversed(artifact().features.items()))).save(tmp_path / "b")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert set(contents(tmp_path / "a")) == {*FILES, MANIFEST}
    changes = [
        {"facts": {}},
        {"features": {}},
        {"edges": np.array([0.0, 7.0, 31.0])},
        {"calibration": Calibration.none(2)},
        {"tables": replace(artifact().tables, values=artifact().tables.values + 1e-12)},
    ]
    versions = {artifact(**change).model_version for change in changes}
    assert len(versions | {artifact().model_version}) == len(changes) + 1


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    directory = tmp_path_factory.mktemp("saved") / "artifact"
    artifact().save(directory)
    return directory


@given(data=st.data())
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_single_flipped_bit_is_refused_with_the_name_of_its_file(saved, data):
    name = data.draw(st.sampled_from([MODEL, TABLES, MANIFEST]))
    path = saved / name
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    bit = data.draw(st.integers(0, 7))
    path.write_bytes(whole[:at] + bytes([whole[at] ^ (1 << bit)]) + whole[at + 1 :])
    try:
        with pytest.raises(ArtifactError, match=name):
            Artifact.load(saved)
    finally:
        path.write_bytes(whole)


def test_any_other_digit_of_the_schema_version_is_refused_with_the_name_of_the_manifest(saved):
    path = saved / MANIFEST
    whole = path.read_bytes()
    now = b'"schema_version":%d' % SCHEMA_VERSION
    for digit in set(b"0123456789") - {now[-1]}:
        path.write_bytes(whole.replace(now, now[:-1] + bytes([digit])))
        with pytest.raises(ArtifactError, match=MANIFEST):
            Artifact.load(saved)
    path.write_bytes(whole)


@pytest.mark.parametrize("name", [MODEL, TABLES, MANIFEST])
@pytest.mark.parametrize("keep", [0, 1, 0.5, -1])
def test_a_file_cut_short_is_refused_by_name(tmp_path, name, keep):
    artifact().save(tmp_path / "a")
    path = tmp_path / "a" / name
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep) if isinstance(keep, float) else keep])
    with pytest.raises(ArtifactError, match=name):
        Artifact.load(tmp_path / "a")


@pytest.mark.parametrize("name", [MODEL, TABLES, MANIFEST])
def test_a_missing_file_is_refused_by_name(tmp_path, name):
    artifact().save(tmp_path / "a")
    (tmp_path / "a" / name).unlink()
    with pytest.raises(ArtifactError, match=f"without {name}"):
        Artifact.load(tmp_path / "a")


def test_what_is_no_directory_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match="a directory that redflare train wrote"):
        Artifact.load(tmp_path / "nowhere")
    (tmp_path / "file").write_text("{}")
    with pytest.raises(ArtifactError, match="a directory that redflare train wrote"):
        Artifact.load(tmp_path / "file")


def test_a_newer_schema_is_refused_with_the_remedy(tmp_path):
    write_sealed(tmp_path / "a", {"model.bin": b""}, schema_version=SCHEMA_VERSION + 2)
    versions = rf"schema version {SCHEMA_VERSION + 2}: expected {SCHEMA_VERSION}, "
    with pytest.raises(ArtifactError, match=f"{versions}.*upgrade redflare"):
        Artifact.load(tmp_path / "a")


def test_an_older_schema_is_refused_with_the_remedy(tmp_path):
    write_sealed(tmp_path / "a", {"model.bin": b""}, schema_version=SCHEMA_VERSION - 1)
    with pytest.raises(ArtifactError, match="use the release that trained it"):
        Artifact.load(tmp_path / "a")


def test_a_manifest_of_other_files_is_refused(tmp_path):
    write_sealed(tmp_path / "a", {MODEL: b"{}"}, schema_version=SCHEMA_VERSION)
    with pytest.raises(ArtifactError, match=rf"{MANIFEST} .* that lists \['model.json'\]"):
        Artifact.load(tmp_path / "a")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(extra=1), "missing or unknown extra"),
        (lambda m: m.pop("facts"), "missing or unknown facts"),
        (lambda m: m.update(model_version="m-1"), "names its model 'm-1'"),
        (lambda m: m["facts"].update(deals=413), "names its model"),
        (lambda m: m.update(edges=[0.0, 7.0]), "tables of 2 edges"),
        (lambda m: m.update(edges=[0.0, 30.0, 7.0]), "days that rise from 0"),
        (lambda m: m.update(edges="soon"), "value that cannot be"),
        (lambda m: m.update(edges=None), "days that rise from 0"),
        (lambda m: m.update(grid=[]), "no feature"),
        (lambda m: m.update(grid=5), "value that cannot be"),
        (lambda m: m["grid"].pop(), "main effects of shape"),
        (lambda m: m["grid"].append(m["grid"][0]), "names a feature twice"),
        (lambda m: m["grid"][0].update(thresholds=[2.0, 1.0]), "do not rise"),
        (lambda m: m["grid"][0].update(thresholds=["a"]), "value that cannot be"),
        (lambda m: m["grid"][0].update(thresholds=None), "value that cannot be"),
        (lambda m: m["grid"][0].update(note=1), "value that cannot be"),
        (lambda m: m["grid"][0].update(direction=True), "value that cannot be"),
        (lambda m: m["grid"][1].update(categories=2.5), "value that cannot be"),
        (lambda m: m["grid"][1].update(name=None), "value that cannot be"),
        (lambda m: m["calibration"].update(slopes=[1.0, -1.0]), "slope above 0"),
        (lambda m: m["calibration"].update(slopes=[1.0]), "slope above 0"),
        (lambda m: m["calibration"].pop("slopes"), "value that cannot be"),
        (lambda m: m.update(calibration=[]), "value that cannot be"),
        (lambda m: m.update(features=[]), "features that JSON does not hold"),
    ],
)
def test_an_inconsistent_model_file_is_refused_when_loaded(tmp_path, change, message):
    forge(tmp_path / "a", document=change)
    with pytest.raises(ArtifactError, match=message):
        Artifact.load(tmp_path / "a")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.pop("values"), "values missing: expected values <f8"),
        (lambda a: a.update(code=np.zeros(1)), "code <f8: expected code left out"),
        (lambda a: a.update(values=a["values"].astype(np.float32)), "values <f4"),
        (lambda a: a.update(values=a["values"][1:]), "pair values where"),
        (lambda a: a.update(values=a["values"] * np.inf), "not finite"),
        (lambda a: a.update(intercepts=a["intercepts"][0]), "no bag"),
        (lambda a: a.update(mains=a["mains"][:, :, :, 0]), "main effects of shape"),
        (lambda a: a.update(pairs=a["pairs"] + 1), "pairs that are not"),
        (lambda a: a.update(pairs=a["pairs"][:, 0]), "pairs that are not"),
        (lambda a: a.update(left_groups=a["left_groups"] + 1), "groups that do not rise"),
        (lambda a: a.update(right_groups=a["right_groups"][0]), "groups of shapes"),
    ],
)
def test_inconsistent_tables_are_refused_when_loaded(tmp_path, change, message):
    forge(tmp_path / "a", arrays=change)
    with pytest.raises(ArtifactError, match=message):
        Artifact.load(tmp_path / "a")


class Trap:
    """Unpickling this would leave a file behind."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_nothing_is_ever_unpickled(tmp_path):
    trap = Trap(tmp_path / "sprung")
    packed = io.BytesIO()
    np.savez(packed, values=np.array([trap], dtype=object), allow_pickle=True)
    for raw in (packed.getvalue(), pickle.dumps(trap)):
        forge(tmp_path / "a", raw_tables=raw)
        with pytest.raises(ArtifactError, match=r"tables\.npz that holds no plain arrays"):
            Artifact.load(tmp_path / "a")
    assert not (tmp_path / "sprung").exists()


def test_tables_that_would_fill_the_memory_are_refused(tmp_path):
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (900000000000,), }"
    bomb = b"\x93NUMPY\x01\x00" + len(header + b"\n").to_bytes(2, "little") + header + b"\n"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("values.npy", bomb)
    forge(tmp_path / "a", raw_tables=packed.getvalue())
    with pytest.raises(ArtifactError, match=r"tables\.npz that holds no plain arrays"):
        Artifact.load(tmp_path / "a")


def test_saving_replaces_an_earlier_artifact_whole(tmp_path):
    artifact().save(tmp_path / "deep" / "a")
    artifact(facts={"deals": 1}).save(tmp_path / "deep" / "a")
    assert Artifact.load(tmp_path / "deep" / "a").facts == {"deals": 1}
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["a"]


def test_saving_into_an_empty_directory_works(tmp_path):
    artifact().save(tmp_path)
    assert Artifact.load(tmp_path).facts == artifact().facts


def test_saving_never_overwrites_what_is_no_artifact(tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "plan.txt").write_text("keep me")
    (tmp_path / "file").write_text("keep me")
    artifact().save(tmp_path / "a")
    (tmp_path / "a" / "plan.txt").write_text("keep me")
    for name, stranger in (("notes", "plan.txt"), ("file", "file"), ("a", "plan.txt")):
        with pytest.raises(ArtifactError, match=f"where '{stranger}' is no part of an artifact"):
            artifact(facts={}).save(tmp_path / name)
    assert (tmp_path / "notes" / "plan.txt").read_text() == "keep me"
    assert (tmp_path / "file").read_text() == "keep me"
    assert Artifact.load(tmp_path / "a").facts == artifact().facts


@pytest.mark.parametrize(
    "facts",
    [{"rate": float("nan")}, {"when": object()}, {1: "a"}, {"pair": (1, 2)}, {"rate": np.int64(1)}],
)
def test_what_json_does_not_hold_unchanged_is_refused_before_saving(facts):
    with pytest.raises(ArtifactError, match="facts that JSON does not hold unchanged"):
        artifact(facts=facts)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"edges": np.array([0.0, 7.0])}, "expected 1 in both"),
        ({"edges": np.array([1.0, 7.0, 9.0])}, "days that rise from 0"),
        ({"calibration": Calibration.none(3)}, "a calibration of 3"),
        ({"grid": Grid((GridFeature(name="amount"),))}, "tables over other bins"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(parts, message):
    with pytest.raises(ArtifactError, match=message):
        artifact(**parts)


def test_a_large_model_stays_within_30_megabytes(tmp_path):
    cuts = tuple(float(cut) for cut in range(62))
    grid = Grid(tuple(GridFeature(name=f"feature_{n}", thresholds=cuts) for n in range(100)))
    edges = np.arange(9) * 15.0
    large = artifact(
        edges=edges,
        grid=grid,
        calibration=Calibration.none(8),
        tables=random_tables(grid, bags=8, edges=8, pairs=300, coarse_bins=11),
    )
    large.save(tmp_path / "a")
    assert sum(len(content) for content in contents(tmp_path / "a").values()) <= 30e6
    assert Artifact.load(tmp_path / "a").model_version == large.model_version
