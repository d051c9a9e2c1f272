"""The sources of events that are CRMs, each of which numbers its deals by itself."""

from __future__ import annotations

from typing import Final

CRMS: Final = frozenset({"dynamics", "hubspot", "pipedrive", "salesforce"})
"""By the `source` of the ready mapping."""
