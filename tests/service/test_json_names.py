"""A long object is read in time that grows with its length alone."""

from __future__ import annotations

import json

import pytest

from service.json_text import JsonTextError, _unique


def test_a_name_given_twice_among_very_many_is_found_in_one_pass() -> None:
    members = [(f"name {number}", number) for number in range(300_000)]
    with pytest.raises(JsonTextError, match="'name 7' twice in one object"):
        _unique([*members, ("name 7", 0)])
    assert _unique(members) == json.loads(json.dumps(dict(members)))
