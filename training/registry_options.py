"""The options that the commands on a registry share."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

MODEL_NAME: Final = "redflare"

REGISTRY = click.option(
    "--registry", required=True, help="A folder, or an MLflow address (http://..., sqlite:///...)."
)
NAME = click.option("--name", default=MODEL_NAME, show_default=True, help="Of the model there.")
BY = click.option("--by", help="Who does this, for the audit; you on this machine otherwise.")
REASON = click.option("--reason", default="", help="Why, for the audit.")
FORCE = click.option("--force", is_flag=True, help="Promote against the gate; needs --reason.")
INTO = click.option(
    "--into", type=click.Path(path_type=Path), help="Write the champion's artifact to this folder."
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
