from __future__ import annotations

import os
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.artifact import Artifact
from model.errors import ArtifactError, OwnFeaturesError
from model.event_table import table_of
from model.features import FeatureSet
from model.history import History
from model.own_features import VARIABLE, OwnFeatures, declare
from model.scorer import Scorer
from model.vocabulary import Vocabulary
from service import own_features
from tests.factories import day_us, deal_event

FILE = '''
from model.feature import Computed, Count, Feature, NumberField, Since


def reply_share(snapshot):
    """Of all mails, the customer's share."""
    ours, theirs = len(snapshot.of("message_sent")), len(snapshot.of("customer_replied"))
    return theirs / (ours + theirs) if ours + theirs else float("nan")


def everything(snapshot):
    """What a careless function may look at."""
    deal = snapshot.deal
    words = len(deal.names) + len(deal.texts) + max(deal.text, default=0)
    return float(len(deal.code) + words + sum(snapshot.age_days) + len(snapshot.rows))


FEATURES = (
    Feature(
        name="reply_share", unit="share", question="share of mails that are replies", direction=1,
        missing="no mail is known", phrase="{value} of the mails are replies",
        unknown="no mail is on record", term=Computed(compute=reply_share),
    ),
    Feature(
        name="everything", unit="number", question="all there is", direction=0, missing="never",
        phrase="{value} of everything", term=Computed(compute=everything),
    ),
    Feature(
        name="replies_7_days", unit="events", question="replies in 7 days", direction=1,
        missing="not carried", phrase="{value} replies in 7 days",
        term=Count(codes=("customer_replied",), days=7),
    ),
    Feature(
        name="demo_days", unit="days", question="days since a demo", direction=0,
        missing="no demo", phrase="a demo {days} ago", term=Since(codes=("activity:demo",)),
    ),
)
'''


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> OwnFeatures:
    path = tmp_path_factory.mktemp("own") / "my_features.py"
    path.write_text(FILE)
    return declare(path)


KINDS = ("message_sent", "customer_replied", "call_made", "field_changed")
Told = list[tuple[str, float, float]]


def said(kind: str, number: int) -> dict[str, str]:
    return {"name": f"f{number}", "text": f"t{number}"} if kind == "field_changed" else {}


def history(told: Told) -> History:
    """An opening, and what happened and became known on which days."""
    rows = [deal_event("deal_opened", 0.0, source_id="opened")]
    rows += [
        deal_event(kind, at, known=at + late, source_id=str(number), **said(kind, number))
        for number, (kind, at, late) in enumerate(told)
    ]
    return History.from_table(table_of(rows))


def values(own: OwnFeatures, told: Told, at: float) -> dict[str, float]:
    features = FeatureSet(Vocabulary(), own=own)
    row = features.matrix(history(told), np.array([0]), np.array([day_us(at)]))[0]
    return dict(zip(features.names, row.tolist(), strict=True))


def test_own_features_stand_beside_the_catalogue(own: OwnFeatures) -> None:
    found = values(own, [("message_sent", 1.0, 0.0), ("customer_replied", 2.0, 0.0)], 4.0)

    assert found["reply_share"] == 0.5
    assert found["replies_7_days"] == 1.0
    assert found["customer_contacts_14_days"] == 1.0
    assert "demo_days" not in found  # no activity of that name is in the company's data
    demo = FeatureSet(Vocabulary(activities=("demo",)), own=own)
    assert "demo_days" in demo.names


@given(
    told=st.lists(
        st.tuples(st.sampled_from(KINDS), st.floats(0.0, 20.0), st.floats(0.0, 20.0)), max_size=8
    ),
    at=st.floats(0.0, 30.0),
)
def test_what_is_known_later_changes_no_own_feature(
    own: OwnFeatures, told: Told, at: float
) -> None:
    """Not even that of a function which counts all it can reach."""
    known = [each for each in told if day_us(each[1] + each[2]) <= day_us(at)]

    assert values(own, told, at) == pytest.approx(values(own, known, at), nan_ok=True)


def test_they_go_to_another_process_by_the_file(own: OwnFeatures) -> None:
    features = FeatureSet(Vocabulary(), ("silence_days", "reply_share"), own)

    again = pickle.loads(pickle.dumps(features))

    assert again.names == features.names
    assert again.own == own
    own_path = own.path.with_name("gone.py")
    assert not own_path.exists()
    with pytest.raises(OwnFeaturesError, match=r"gone\.py"):
        declare(own_path)


def test_an_artifact_names_the_file_and_is_refused_without_it(
    own: OwnFeatures, small_artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact = Artifact.load(small_artifact)
    told = artifact.features | {"own": own.to_json()}
    replace(artifact, features=told).save(tmp_path / "artifact")
    content = b"".join(path.read_bytes() for path in (tmp_path / "artifact").iterdir())

    assert Scorer(Artifact.load(tmp_path / "artifact")).features.own is own
    assert b"def reply_share" not in content
    monkeypatch.setattr("model.own_features._DECLARED", {})
    with pytest.raises(ArtifactError, match=r"my_features\.py, which was not named"):
        Scorer(Artifact.load(tmp_path / "artifact"))
    changed = tmp_path / "my_features.py"
    changed.write_text(FILE + "# changed\n")
    own_features.declare_named({VARIABLE: str(changed)})
    with pytest.raises(ArtifactError, match=r"my_features\.py, which has changed since"):
        Scorer(Artifact.load(tmp_path / "artifact"))
    both = os.pathsep.join([str(changed), str(own.path)])
    own_features.declare_named({VARIABLE: both})
    assert Scorer(Artifact.load(tmp_path / "artifact")).features.own == own
    assert own_features.VARIABLE == VARIABLE


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("FEATURES = (", "OTHERS = (", r"without FEATURES: expected FEATURES = \(Feature"),
        ("FEATURES = (", "FEATURES = 1 / 0, (", "ZeroDivisionError: division by zero"),
        ('"reply_share"', '"silence_days"', "'silence_days': expected a name of its own"),
        ('"reply_share"', '"a:b"', "'a:b': expected a name of its own"),
        ('unit="share"', 'unit="category"', "in unit 'category': expected a number by"),
        ("direction=1", "direction=2", "direction 2: expected -1, 0 or 1"),
        ('Since(codes=("activity:demo",))', '"x"', "of str in unit 'days'"),
        ("import Computed", "import Nothing, Computed", "ImportError"),
        ('unit="share"', 'unit="shares"', "unit 'shares': expected one of amount, .*is share"),
        ('("customer_replied",)', '("customer_repplied",)', "nearest is customer_replied"),
        ('("customer_replied",)', '("customer_replied")', "codes 'customer_replied': .*a tuple"),
        ('("activity:demo",)', '("activty:demo",)', "kind 'activty:demo': .*activity:NAME"),
        ('of("message_sent")', 'of("mesage_sent")', r"line 7, kind 'mesage_sent': .*message_sent"),
        ('of("message_sent")', 'off("message_sent")', r"'off' of a Snapshot.* nearest is of\."),
        ("snapshot.deal\n", "snapshot.dael\n", "'dael' of a Snapshot: .* nearest is deal"),
        ("len(deal.code)", "len(deal.codes)", "'codes' of a DealRows: .* nearest is code"),
        ("len(deal.code)", "1 / len(deal.code)", "line 15 .*ZeroDivisionError"),
        ('"{value} of everything"', '"{valeu}"', "'everything'.* 0.0 into words"),
        ("compute=reply_share)", "compute=reply_share, reads=('x',))", "kind 'x'"),
        ("compute=reply_share)", "compute=reply_share, carriers=('field:x',))", "kind 'field:x'"),
    ],
)
def test_a_file_that_cannot_be_used_is_told(old: str, new: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "my_features.py"
    path.write_text(FILE.replace(old, new, 1))

    with pytest.raises(OwnFeaturesError, match=said) as told:
        declare(path)
    assert str(path) in str(told.value)


def test_a_function_that_fails_on_a_deal_of_the_company_is_told(tmp_path: Path) -> None:
    path = tmp_path / "my_features.py"
    path.write_text(FILE.replace("words = ", "words = 1 / (len(deal.code) != 2) + ", 1))

    with pytest.raises(OwnFeaturesError, match=r"'everything', line 14 \(ZeroDivisionError"):
        values(declare(path), [("message_sent", 1.0, 0.0)], 4.0)


def test_a_function_that_reads_an_activity_which_the_company_has_not_is_left_out(
    tmp_path: Path,
) -> None:
    path = tmp_path / "my_features.py"
    reads = "compute=reply_share, reads=('activity:demo',))"
    path.write_text(FILE.replace("compute=reply_share)", reads, 1))

    assert "reply_share" not in FeatureSet(Vocabulary(), own=declare(path)).names
