from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from model.artifact import Artifact
from training.candidate import (
    ARTIFACT,
    CandidateError,
    check_place,
    read_candidate,
    write_candidate,
)

Make = Callable[..., Path]


def test_a_candidate_takes_the_place_of_an_earlier_one_or_of_nothing(
    make_candidate: Make, tmp_path: Path
) -> None:
    (tmp_path / "a").mkdir()

    for name in ("a", "b"):
        make_candidate(name)
    later = read_candidate(tmp_path / "b")
    write_candidate(tmp_path / "a", later, Artifact.load(tmp_path / "b" / ARTIFACT), {})

    assert read_candidate(tmp_path / "a") == later
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b"}


@pytest.mark.parametrize(
    ("files", "stranger"),
    [
        (("deals.csv",), "deals.csv"),
        (("report/report.html",), "report"),
        (("candidate.json", "notes.txt"), "notes.txt"),
        ((), "kept"),
    ],
)
def test_what_is_no_candidate_is_never_overwritten(
    make_candidate: Make, tmp_path: Path, files: tuple[str, ...], stranger: str
) -> None:
    made = make_candidate()
    candidate, artifact = read_candidate(made), Artifact.load(made / ARTIFACT)
    place = tmp_path / "kept"
    for name in files:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text("mine")
    if not files:
        place.write_text("mine")

    with pytest.raises(CandidateError, match=f"'{stranger}' is no part of a candidate"):
        check_place(place)
    with pytest.raises(CandidateError, match=f"'{stranger}' is no part of a candidate"):
        write_candidate(place, candidate, artifact, {})

    held = [place] if not files else [place / name for name in files]
    assert [path.read_text() for path in held] == ["mine"] * len(held)


def test_a_look_at_a_place_leaves_what_another_retraining_is_writing_there(tmp_path: Path) -> None:
    """It is looked at before the lock is held."""
    part = tmp_path / ".kept.part" / "candidate.json"
    part.parent.mkdir()
    part.write_text("half")

    check_place(tmp_path / "kept")

    assert [path.name for path in tmp_path.iterdir()] == [".kept.part"]
    assert part.read_text() == "half"


def test_a_place_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(CandidateError, match="where nothing can be written"):
        check_place(tmp_path / "file" / "kept")
