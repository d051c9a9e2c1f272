"""The audit of a registry: each promotion and rollback, an entry in a tag of the model."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any, Final

from training.version import TAG, Act

AUDIT: Final = f"{TAG}audit."
LONGEST_ENTRY: Final = 5000  # characters of a model's tag, in MLflow's databases


class Audit:
    """The entries of one model's audit.

    Parameters
    ----------
    client
        An ``MlflowClient``; what it raises passes.
    name
        Of the registered model.
    """

    def __init__(self, client: Any, name: str) -> None:
        self._client = client
        self._name = name

    def tags(self) -> dict[str, str]:
        """Every entry as it is kept, by its key."""
        found = self._client.search_registered_models(f"name = '{self._name}'")
        held = found[0].tags if found else {}
        return {key: value for key, value in held.items() if key.startswith(AUDIT)}

    def write(self, act: Act) -> str:
        """Add an entry; its key."""
        # Two machines that count alike at the same moment leave two entries all the same.
        entry = entry_of(act)
        mark = sha256(entry.encode()).hexdigest()[:8]
        key = f"{AUDIT}{1 + len(self.tags()):06d}.{mark}"
        self._client.set_registered_model_tag(self._name, key, entry)
        return key

    def withdraw(self, key: str) -> None:
        """Take back an entry of what did not come."""
        self._client.delete_registered_model_tag(self._name, key)

    def acts(self) -> list[Act]:
        """Every entry, in order of time."""
        entries = [(key.rpartition(".")[0], json.loads(tag)) for key, tag in self.tags().items()]
        entries.sort(key=lambda each: (each[0], each[1]["at"]))
        return [Act(**{**act, "overruled": tuple(act.get("overruled", ()))}) for _, act in entries]


def entry_of(act: Act) -> str:
    """An entry of the audit; the conditions that it has no room for stand in the version's tags."""
    entry = json.dumps(act.__dict__)
    for kept in reversed(range(len(act.overruled))):
        if len(entry) <= LONGEST_ENTRY:
            break
        told = (*act.overruled[:kept], f"and {len(act.overruled) - kept} more")
        entry = json.dumps(act.__dict__ | {"overruled": told})
    return entry
