"""The README's way from an empty folder to a scored webhook, by its own commands."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from tests.service.webhooks.test_readme import block


def commands(holding: str) -> list[str]:
    """The commands of the block that holds a text."""
    text = block("console", holding)
    return [each.strip() for each in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]]


def test_from_an_empty_folder_by_the_readme(
    tmp_path: Path, small_artifact: Path, user_environment: dict[str, str]
) -> None:
    for needed in ("openssl", "curl"):
        if shutil.which(needed) is None:
            pytest.skip(f"the README's commands need {needed}, which is not here")
    shutil.copytree(small_artifact, tmp_path / "company" / "artifact")
    export, *signed = commands("webhook-signature")
    install, key, listed, one, milestone = commands("keys create dashboard")
    secret = export.partition("=")[2]
    serving = subprocess.Popen(
        ["redflare", "serve", "--port", "0"],
        cwd=tmp_path,
        env=user_environment | {"REDFLARE_WEBHOOK_SECRETS": secret},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert serving.stdout is not None
        where = serving.stdout.readline().split()[-1].removeprefix("http://")

        def run(*lines: str) -> list[str]:
            script = "\n".join((export, *lines)).replace("localhost:8000", where)
            ran = subprocess.run(
                ["sh", "-e", "-c", script],
                cwd=tmp_path,
                env=os.environ | user_environment,
                capture_output=True,
                text=True,
                check=False,
            )
            assert ran.returncode == 0, ran.stdout + ran.stderr
            return ran.stdout.splitlines()

        assert "is in force" in run(install)[0]
        made = run(key, 'echo "$key"')[0]
        until = time.monotonic() + 30
        own = {"authorization": f"Bearer {made}"}
        while httpx.get(f"http://{where}/v1/model", headers=own).status_code != 200:
            assert time.monotonic() < until
            time.sleep(0.1)
        assert run(*signed) == ["{}"]
        shown = run(f"key={made}", one)
        while not shown or json.loads(shown[0]).get("score") is None:
            assert time.monotonic() < until, shown
            time.sleep(0.1)
            shown = run(f"key={made}", one)
        assert 0 < json.loads(shown[0])["score"]["probability"] < 1
        [deal] = json.loads(run(f"key={made}", listed)[0])["deals"]
        assert deal["deal_id"] == "D-1"
        assert json.loads(run(f"key={made}", milestone)[0])["delivery"] == 2
    finally:
        serving.terminate()
        serving.wait(20)
        if serving.stdout is not None:
            serving.stdout.close()
