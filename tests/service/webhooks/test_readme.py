"""The README's webhook, signed by its own commands and posted to a running service."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
import time
from pathlib import Path

import pytest
import uvicorn

from model.scorer import Scorer
from service.app import create_app, utc_now
from service.settings import Settings
from service.webhooks.routes import WebhookEndpoint
from service.webhooks.sources import KINDS, read_sources
from service.writeback.destinations import KINDS as DESTINATIONS
from service.writeback.destinations import read_destinations
from service.writeback.payload import VALUES
from tests.service.webhooks.payloads import KEY
from tests.service.webhooks.test_routes import Shelf

README = (Path(__file__).parents[3] / "README.md").read_text("utf-8")
SECRETS = {
    "CRM_SECRET": "a secret long enough",
    "SALES_TOKEN": "a secret long enough",
    "CALLBACK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "HUBSPOT_TOKEN": "a secret long enough",
    "SMTP_PASSWORD": "a secret long enough",
}


def block(language: str, holding: str) -> str:
    """The fenced block that holds a text."""
    [text] = blocks(language, holding)
    return text


def blocks(language: str, holding: str) -> list[str]:
    """The fenced blocks that hold a text."""
    found = re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    return [text for text in found if holding in text]


def test_the_signed_delivery_of_the_readme_is_taken(scorer: Scorer) -> None:
    for needed in ("openssl", "curl"):
        if shutil.which(needed) is None:
            pytest.skip(f"the README's commands need {needed}, which is not here")
    commands = re.sub(r"^\$ ", "", block("console", "webhook-signature"), flags=re.MULTILINE)
    secret = re.search(r"REDFLARE_WEBHOOK_SECRETS=(\S+)", commands)
    assert secret is not None
    shelf = Shelf()
    endpoint = WebhookEndpoint(
        sources=read_sources({"REDFLARE_WEBHOOK_SECRETS": secret[1]}, lambda: KEY),
        inbox=shelf,
        settings=Settings(),
        clock=utc_now,
    )
    app = create_app(scorer, webhooks=endpoint)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        ran = subprocess.run(
            ["sh", "-e", "-c", commands.replace("localhost:8000", f"127.0.0.1:{port}")],
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        server.should_exit = True
        thread.join()

    assert (ran.returncode, ran.stdout) == (0, "{}"), ran.stdout + ran.stderr
    [delivery] = shelf.kept.values()
    translated = endpoint.sources["events"][1].translate(delivery)
    assert [event.kind for event in translated.events] == [
        "deal_opened",
        "customer_replied",
    ]


def test_the_readme_s_sources_and_destinations_can_be_read(tmp_path: Path) -> None:
    file = tmp_path / "file.toml"
    file.write_text(block("toml", "[sources."), "utf-8")
    assert len(read_sources({"REDFLARE_WEBHOOKS": str(file), **SECRETS}, lambda: KEY)) == 2
    file.write_text("\n".join(blocks("toml", "[destinations.")), "utf-8")
    assert len(read_destinations({"REDFLARE_DESTINATIONS": str(file), **SECRETS})) == 3


def test_the_readme_names_every_kind_and_every_value() -> None:
    section = README[README.index("#### Webhooks") :]

    for name in (*KINDS, *VALUES):
        assert f"`{name}`" in section, name
    for name in DESTINATIONS:
        assert name in section, name
