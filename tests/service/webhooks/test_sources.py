"""Sources by a TOML file and the environment, and errors that name the entry."""

from __future__ import annotations

from pathlib import Path

import pytest

from model.errors import RedflareError
from service.webhooks.hubspot import HubSpotReceiver
from service.webhooks.outbound import OutboundReceiver
from service.webhooks.sources import KINDS, read_sources
from service.webhooks.standard import StandardReceiver
from tests.service.webhooks.payloads import KEY, ORGANISATION, SECRET

ALL = f"""
[sources.own]
kind = "standard"
secrets = ["{SECRET}", "whsec_YW5vdGhlciBzZWNyZXQgb2YgMjQgYnl0"]

[sources.crm]
kind = "hubspot"
secrets = [{{ variable = "CRM_SECRET" }}]
url = "https://redflare.example/webhooks/crm"
won_stages = ["9001"]
lost_stages = ["9002"]
stage_orders = {{ 9000 = 1, 9001 = 2.5 }}

[sources.sales-om]
kind = "salesforce-outbound"
secrets = ["a secret long enough"]
organisation_id = "{ORGANISATION}"

[sources.sales-cdc]
kind = "salesforce-cdc"
secrets = ["a secret long enough"]

[sources.dynamics]
kind = "dynamics"
secrets = ["a secret long enough"]
header = "X-Redflare-Key"

[sources.pipedrive]
kind = "pipedrive"
secrets = ["a secret long enough"]
user = "ada"
"""
ENVIRONMENT = {"CRM_SECRET": "a secret from elsewhere"}


def read(tmp_path: Path, text: str, **environment: str) -> dict[str, object]:
    file = tmp_path / "webhooks.toml"
    file.write_text(text, "utf-8")
    given = {"REDFLARE_WEBHOOKS": str(file), **ENVIRONMENT, **environment}
    return {name: receiver for name, (_, receiver) in read_sources(given, lambda: KEY).items()}


def test_every_kind_is_configured_by_a_file(tmp_path: Path) -> None:
    sources = read(tmp_path, ALL)

    assert len(sources) == len(KINDS)
    own, crm, outbound = sources["own"], sources["crm"], sources["sales-om"]
    assert isinstance(own, StandardReceiver)
    assert len(own.keys) == 2
    assert isinstance(crm, HubSpotReceiver)
    assert crm.secrets == ("a secret from elsewhere",)
    assert crm.terms.stage_orders == (("9000", 1.0), ("9001", 2.5))
    assert isinstance(outbound, OutboundReceiver)
    assert outbound.organisation_id == ORGANISATION


def test_no_secret_shows_where_a_source_is_printed(tmp_path: Path) -> None:
    shown = repr(read(tmp_path, ALL))

    assert "HubSpotReceiver" in shown
    assert not [one for one in ("a secret", SECRET, "another secret") if one in shown]


def test_without_a_file_a_secret_makes_a_source_of_our_own_events() -> None:
    sources = read_sources({"REDFLARE_WEBHOOK_SECRETS": SECRET}, lambda: KEY)

    assert list(sources) == ["events"]
    assert read_sources({}, lambda: KEY) == {}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('kind = "hubspot"', 'kind = "hubspott"', "expected one of standard, hubspot"),
        ('kind = "hubspot"\n', "", "key kind: expected a text"),
        ("url = ", "urll = ", "did you mean url"),
        ('url = "https://redflare.example/webhooks/crm"', 'url = "crm"', "key url = 'crm'"),
        ('[{ variable = "CRM_SECRET" }]', '[{ variable = "NONE" }]', "in the variable NONE"),
        ('[{ variable = "CRM_SECRET" }]', '["short"]', "at least 16 bytes"),
        ('[{ variable = "CRM_SECRET" }]', "[]", "one secret, or two"),
        ('[{ variable = "CRM_SECRET" }]', '"one"', "one secret, or two"),
        ("won_stages = [", "won_stages = [5, ", "a list of texts"),
        ("9000 = 1", '9000 = "a"', "numbers by name"),
        (
            "won_stages",
            'mapping = "pipedrive"\nwon_stages',
            "records titled 'deal_property_history'. Remedy: begin with a copy of .*hubspot.toml",
        ),
        ("won_stages", 'mapping = "none.toml"\nwon_stages', "mapping 'none.toml'"),
        (ORGANISATION, "00D", "15 or 18 letters and digits"),
        ("sources.crm", "sources.CRM", "small letters, digits and hyphens"),
        ("[sources.crm]", "[sauces.crm]", "key sauces"),
        ("[sources.crm]", "[sources.crm", "TOML in UTF-8"),
        (SECRET, "whsec_notbase64!!!!!!!!!!!!", "whsec_ and base64"),
        ('kind = "standard"', 'kind = "standard"\nmapping = "hubspot"', "expected one of kind"),
    ],
)
def test_a_wrong_entry_is_named_with_what_was_expected(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    assert old in ALL
    with pytest.raises(RedflareError, match=said) as caught:
        read(tmp_path, ALL.replace(old, new))

    assert "Remedy: " in str(caught.value)
    for secret in (SECRET, "a secret from elsewhere", "short"):
        assert secret not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RedflareError, match="No such file"):
        read_sources({"REDFLARE_WEBHOOKS": str(tmp_path / "none.toml")}, lambda: KEY)


def test_the_source_of_the_environment_is_not_configured_twice(tmp_path: Path) -> None:
    with pytest.raises(RedflareError, match="one of them"):
        read(
            tmp_path, ALL.replace("sources.own", "sources.events"), REDFLARE_WEBHOOK_SECRETS=SECRET
        )
