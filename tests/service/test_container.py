"""The container file, which no engine builds here: what it copies is there, without rights."""

from __future__ import annotations

import re
from pathlib import Path


def test_the_container_copies_what_is_there_and_runs_without_rights(root: Path) -> None:
    text = (root / "Containerfile").read_text("utf-8")
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.M)

    assert copied
    for line in copied:
        for name in line.split():
            assert (root / name).exists(), name
    users = re.findall(r"^USER (\S+)$", text, re.M)
    assert users == ["10001:10001"]
    assert "HEALTHCHECK" in text


def test_the_lock_may_constrain_an_installation(root: Path) -> None:
    # pip takes no extras and no options in a file of constraints.
    for line in (root / "requirements.lock").read_text("utf-8").splitlines():
        assert re.match(r"#|[A-Za-z0-9_.-]+==\S+( ;.*)?$", line.strip()), line
