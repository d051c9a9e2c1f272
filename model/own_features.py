"""A company's own features: entries of the catalogue in a Python file that the company names.

An artifact holds the file's name and SHA-256, never its code: whoever scores with it must name the
same file, unchanged. Nothing is run but a file that was named, and every function in it sees a
deal's rows as known at the moment and no others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from model.asof import DealRows, Snapshot
from model.errors import ArtifactError, OwnFeaturesError
from model.feature import Computed, Count, Feature, NumberField, Since
from model.history import NONE
from model.own_check import check_computed, check_entry, failed
from model.vocabulary import Vocabulary

VARIABLE: Final = "REDFLARE_FEATURES"
NAME: Final = "FEATURES"  # of the tuple in the file
TERMS: Final = (Computed, Count, NumberField, Since)
LISTS: Final = ("code", "occurred", "known", "name", "text", "person", "source", "number", "date")

# What was named to this process, by the file's digest: an artifact finds its own here.
_DECLARED: dict[str, OwnFeatures] = {}


@dataclass(frozen=True, kw_only=True)
class OwnFeatures:
    """What a file of own features holds.

    Parameters
    ----------
    path
        The file.
    sha256
        Of its content.
    features
        Its entries, ready to be computed.
    """

    path: Path = field(compare=False)
    sha256: str
    features: tuple[Feature, ...] = field(compare=False)  # the same where the content is

    def known_to(self, vocabulary: Vocabulary) -> tuple[Feature, ...]:
        """Those whose activities and fields the company's data has."""
        has = {f"activity:{name}" for name in vocabulary.activities}
        has |= {f"field:{name}" for name in vocabulary.number_fields + vocabulary.text_fields}
        return tuple(
            each for each in self.features if all(c in has for c in _codes(each) if ":" in c)
        )

    def to_json(self) -> dict[str, str]:
        """What an artifact says of it."""
        return {"file": self.path.name, "sha256": self.sha256}

    def __reduce__(self) -> tuple[Callable[..., OwnFeatures], tuple[Path, str]]:
        return (_again, (self.path, self.sha256))


def declare(path: Path) -> OwnFeatures:
    """Run a file of own features, and let artifacts that were trained with it find it.

    Parameters
    ----------
    path
        Python that assigns a tuple of `model.feature.Feature` to `FEATURES`. Whoever names it
        trusts it: it is run.

    Raises
    ------
    OwnFeaturesError
        If it cannot be run, or an entry cannot be used.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise OwnFeaturesError(
            f"{path} ({error.strerror})", "a Python file of own features", "correct the name"
        ) from error
    digest = hashlib.sha256(content).hexdigest()
    if digest not in _DECLARED:
        module = ModuleType("own_features")
        module.__file__ = str(path)
        try:
            exec(compile(content, str(path), "exec"), module.__dict__)  # noqa: S102 - it was named
        except Exception as error:
            raise OwnFeaturesError(
                f"{path} ({type(error).__name__}: {error})", "Python that runs", "correct it"
            ) from error
        features = _checked(path, getattr(module, NAME, None))
        _DECLARED[digest] = OwnFeatures(path=path.absolute(), sha256=digest, features=features)
    return _DECLARED[digest]


def declared(told: Mapping[str, Any]) -> OwnFeatures:
    """The own features that an artifact was trained with.

    Parameters
    ----------
    told
        As `OwnFeatures.to_json`.

    Raises
    ------
    ArtifactError
        If the file was not named to this process, or is another by now.
    """
    found = _DECLARED.get(told["sha256"])
    if found is None:
        same = [each for each in _DECLARED.values() if each.path.name == told["file"]]
        raise ArtifactError(
            f"an artifact with the own features of {told['file']}"
            + (", which has changed since" if same else ", which was not named"),
            f"that file as it was in training, SHA-256 {told['sha256'][:16]}...",
            f"name it with {VARIABLE} or --features, or train again",
        )
    return found


def _again(path: Path, sha256: str) -> OwnFeatures:
    """The same in another process, which was started by one that was named the file."""
    found = declare(path)
    if found.sha256 != sha256:
        raise OwnFeaturesError(f"{path}, changed meanwhile", "the file as it was", "start again")
    return found


def _checked(path: Path, found: object) -> tuple[Feature, ...]:
    from model.catalogue import CALENDAR, CATALOGUE

    if not isinstance(found, tuple | list) or not all(isinstance(f, Feature) for f in found):
        raise OwnFeaturesError(
            f"{path} without {NAME}", f"{NAME} = (Feature(...), ...)", "add the entries"
        )
    taken = {feature.name for feature in (*CATALOGUE, *(f for _, f in CALENDAR))}
    for feature in found:
        where = f"{path}, feature {feature.name!r}"
        if feature.name in taken or ":" in feature.name or not feature.name:
            raise OwnFeaturesError(where, "a name of its own, without a colon", "name it otherwise")
        taken.add(feature.name)
        if not isinstance(feature.term, TERMS) or feature.is_category:
            raise OwnFeaturesError(
                f"{where} of {type(feature.term).__name__} in unit {feature.unit!r}",
                "a number by " + ", ".join(term.__name__ for term in TERMS),
                "name another term; a text field is a category by itself",
            )
        if feature.direction not in (-1, 0, 1):
            given = f"{where}, direction {feature.direction}"
            raise OwnFeaturesError(given, "-1, 0 or 1", "set it")
        check_entry(path, feature)
    guarded = tuple(_guarded(path, feature) for feature in found)
    for feature in guarded:
        check_computed(feature)
    return guarded


def _codes(feature: Feature) -> Iterable[str]:
    term = feature.term
    if isinstance(term, Count | Since):
        return term.codes
    if isinstance(term, Computed):
        return term.reads
    return (term.code,) if isinstance(term, NumberField) else ()


def _guarded(path: Path, feature: Feature) -> Feature:
    """The same, whose function is shown what was known and no more, and told of where it fails."""
    term = feature.term
    if not isinstance(term, Computed):
        return feature
    compute = term.compute

    def of_known(snapshot: Snapshot) -> float:
        try:
            return float(compute(snapshot.once(known_alone)))
        except Exception as error:
            raise failed(path, feature, error) from error

    return replace(feature, term=replace(term, compute=of_known))


def known_alone(snapshot: Snapshot) -> Snapshot:
    """A snapshot that holds the visible rows alone, so that no function can look ahead.

    The features of the catalogue take care themselves, and need no copy.
    """
    rows, deal = snapshot.rows, snapshot.deal
    own = object.__new__(DealRows)
    for column in LISTS:
        values = getattr(deal, column)
        setattr(own, column, [values[i] for i in rows])
    own.names, own.name = _heard(deal.names, own.name)
    own.texts, own.text = _heard(deal.texts, own.text)
    own.sources = deal.sources  # feeds go by their codes
    place = {row: number for number, row in enumerate(rows)}
    seen = Snapshot(own, snapshot.as_of, None)
    seen.coverage = snapshot.coverage
    seen.rows = list(range(len(rows)))
    seen.by_code = {code: [place[i] for i in of] for code, of in snapshot.by_code.items()}
    seen.age_days = [snapshot.age_days[i] for i in rows]
    return seen


def _heard(words: Sequence[str], codes: list[int]) -> tuple[tuple[str, ...], list[int]]:
    """Of all the words those that codes stand for, and the codes among them; -1 stays."""
    heard = sorted(set(codes) - {NONE})
    place = {code: number for number, code in enumerate(heard)}
    return tuple(words[code] for code in heard), [place.get(code, NONE) for code in codes]
