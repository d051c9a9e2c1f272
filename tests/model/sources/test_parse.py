from __future__ import annotations

import tomllib

import pytest

from model.errors import MappingError
from model.sources.parse import parse_mapping

LOG = """
source = "crm"
[[record]]
rows = "event"
deal_id = "deal"
occurred_at = "at"
activity = "what"
activities = { call = "call_made" }
"""


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ("", r"own.toml, key source: expected the CRM's or mailbox's name"),
        ('source = "crm"', r"key record: expected at least one \[\[record\]\]"),
        (LOG.replace("call_made", "call_mad"), r"activities.call = 'call_mad'.*did you mean call_"),
        (
            LOG.replace('"deal"', "7"),
            r"record\[1\].deal_id = 7: expected a text or a list of texts",
        ),
        (LOG.replace("deal_id", "dael_id"), r"key record\[1\].deal_id: expected a column"),
        (LOG + 'knwon_at = "x"', r"knwon_at = 'x'.*did you mean known_at\?"),
        (LOG.replace('"event"', '"events"'), r"rows = 'events': expected one of deal, event"),
        ('time_zone = "Mars/Base"' + LOG, r"time_zone = 'Mars/Base': expected a time zone"),
        ('formats = "%d %q"' + LOG, r"key formats.*%q in '%d %q' is none of these"),
        ('decimal = ";"' + LOG, r"decimal = ';': expected one of ., ,"),
        (LOG + '[record.state]\ncall_made = "x"', r"call_made = 'x': expected kinds among"),
        (
            LOG + '[[record.join]]\nlookup = "x"\non = "id"',
            r"lookup = 'x': expected the title",
        ),
        (LOG + "name = 7", r"name = 7: expected a text"),
        (LOG + "name = { valeu = 7 }", r"name = .*: expected a column, or { value ="),
        (LOG + '[opens]\nfirst = "hello"', r"key opens.first = 'hello'"),
        (
            LOG.replace('"call_made"', '["call_made", "call_made"]'),
            r"activities.call.*: expected each kind once",
        ),
        (
            LOG.replace('activity = "what"\n', "").replace("activities", "unless"),
            r"record\[1\].activity: expected the column that says what happened",
        ),
    ],
)
def test_a_mistake_is_named_with_file_key_and_what_is_expected(mapping: str, said: str) -> None:
    with pytest.raises(MappingError, match=said):
        parse_mapping(tomllib.loads(mapping), "own.toml")


def test_an_entry_is_checked_down_to_its_values() -> None:
    mapping = parse_mapping(
        tomllib.loads(LOG + 'rule = [{ when = { what = "visit*" }, kinds = { kind = "meeting_held",'
                      ' name = { value = "onsite" } } }]'),
        "own.toml",
    )  # fmt: skip
    rule = mapping.records[0].rules[0]
    assert rule.when == (("what", ("visit*",)),)
    assert rule.emits[0].kind == "meeting_held"
