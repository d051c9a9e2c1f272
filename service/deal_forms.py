"""What the API asks and answers about the deals that the service keeps, as clients read it."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Final, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from model.scorer import MAIN_DRIVERS
from service.fields import read_date, read_near_date, read_time
from service.forms import Form, ScoreAnswer
from service.wire import MOST_DRIVERS

MOST_LISTED: Final = 200  # deals or scores of one page
LISTED: Final = 50
LONGEST_NAME: Final = 500  # characters of an owner, a stage or a cursor that is looked for
Day = Annotated[date, BeforeValidator(lambda value: read_date("a date", value))]
NearDay = Annotated[date, BeforeValidator(lambda value: read_near_date("a date", value))]
Moment = Annotated[datetime, BeforeValidator(lambda value: read_time("a time", value))]
Cursor = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_NAME)]
Name = Annotated[str, StringConstraints(max_length=LONGEST_NAME, pattern=r"^[^\x00]*$")]


class Query(BaseModel):
    """What may follow the question mark, and nothing else."""

    model_config = ConfigDict(extra="forbid")


class PageQuery(Query):
    """A page of a list."""

    limit: int = Field(LISTED, ge=1, le=MOST_LISTED, description="At most so many on the page.")
    after: Cursor | None = Field(None, description="What the answer of the page before calls next.")


class DealsQuery(PageQuery):
    """Which deals, and in which order."""

    state: Literal["open", "closed", "all"] = Field("open", description="Of the deals.")
    owner: list[Name] = Field(
        default_factory=list, max_length=50, description="Of these owners; repeat it for several."
    )
    stage: Name | None = Field(None, description="In this stage.")
    verdict: Literal["good", "thin", "unscorable"] | None = Field(
        None, description="Of the last score's data quality."
    )
    below: float | None = Field(
        None, ge=0.0, le=1.0, description="Less probable than this, as forecasts use it."
    )
    flagged: bool | None = Field(None, description="With a red flare, or without any.")
    closes_from: Day | None = Field(None, description="Planned to close then or later.")
    closes_until: Day | None = Field(None, description="Planned to close then or earlier.")
    order: Literal["deal_id", "riskiest"] = Field(
        "deal_id",
        description="By id, which stays the same from page to page; or the least probable first, "
        "where a deal scored meanwhile may be missed or met twice.",
    )


class DealQuery(Query):
    """For which date the deal is scored now; neither asks for its last score."""

    close_by: NearDay | None = Field(None, description="To be won by, inclusive, UTC.")
    days: float | None = Field(
        None, gt=0.0, allow_inf_nan=False, description="To be won in, from now."
    )
    since: Moment | None = Field(
        None, description="Say too why the probability by close_by moved since then."
    )
    drivers: int = Field(
        MAIN_DRIVERS, ge=0, le=MOST_DRIVERS, description="How many drivers to name."
    )

    @model_validator(mode="after")
    def check(self) -> DealQuery:
        """Refuse two dates, and a change without the one date that both moments look at."""
        if self.close_by is not None and self.days is not None:
            raise ValueError("both close_by and days: expected one of them")
        if self.since is not None and self.close_by is None:
            raise ValueError("since without close_by: expected close_by too")
        return self


class ForecastQuery(Query):
    """Which quarter, and whose deals."""

    close_by: NearDay = Field(description="The quarter's last day that counts, from 1970 to 2199.")
    fiscal_year_month: int = Field(
        1, ge=1, le=12, description="The month with which the fiscal year begins."
    )
    owner: list[Name] = Field(
        default_factory=list, max_length=50, description="Of these owners; repeat it for several."
    )
    target: float | None = Field(
        None, ge=0.0, allow_inf_nan=False, description="A won amount to reach."
    )


class FlareForm(Form):
    """A red flare that stands."""

    rule: str = Field(description="Which one.")
    subject: str = Field(description="The milestone, where one is missed.")
    since: datetime = Field(description="Since when.")
    phrase: str = Field(description="In words.")


class DealForm(Form):
    """How a deal stands."""

    deal_id: str = Field(description="The deal.")
    is_open: bool = Field(description="Whether it is open as known.")
    owner: str | None = Field(description="The last known; null where never told.")
    account: str | None = Field(description="Likewise.")
    pipeline: str | None = Field(description="Likewise.")
    stage: str | None = Field(description="Likewise.")
    currency: str | None = Field(description="Likewise, ISO 4217.")
    amount: float | None = Field(description="Likewise, in that currency.")
    close_date: date | None = Field(description="Likewise: when it is planned to close.")
    opened_at: datetime | None = Field(description="When it was last opened.")
    known_at: datetime = Field(description="When the latest of its events was known.")
    scored_as_of: datetime | None = Field(description="The moment last scored.")
    probability: float | None = Field(
        ge=0.0, le=1.0, description="Of that score, by the model alone; null: none, or unscorable."
    )
    shown_probability: float | None = Field(
        ge=0.0, le=1.0, description="As forecasts use it: zero once a gate is missed."
    )
    verdict: Literal["good", "thin", "unscorable"] | None = Field(
        description="Of that score's data quality."
    )
    flares: list[FlareForm] = Field(description="Its red flares that stand.")


class DealsAnswer(Form):
    """A page of deals."""

    deals: list[DealForm] = Field(description="In the order asked for.")
    next: str | None = Field(description="Asks for the next page, as after; null on the last.")


class DealAnswer(Form):
    """One deal, and its score."""

    deal: DealForm = Field(description="How it stands.")
    score: ScoreAnswer | None = Field(
        description="As of now where a date is asked for, else the last; null where there is none."
    )


class PastScoreForm(Form):
    """One score that was given."""

    as_of: datetime = Field(description="Nothing known later was used.")
    made_at: datetime = Field(description="When it was made.")
    cause: Literal["delivery", "tick", "forgetting"] = Field(
        description="News, the passing of a day, or a person forgotten."
    )
    days: float = Field(description="It is the probability to be won in so many.")
    probability: float | None = Field(ge=0.0, le=1.0, description="By the model alone.")
    shown_probability: float | None = Field(ge=0.0, le=1.0, description="As forecasts use it.")
    model_version: str = Field(description="Of the model.")


class ScoresAnswer(Form):
    """A page of a deal's scores."""

    scores: list[PastScoreForm] = Field(description="The latest first.")
    next: str | None = Field(description="Asks for the next page, as after; null on the last.")


class MilestoneForm(Form):
    """One milestone of a deal."""

    name: str = Field(description="Tells it from the deal's others.")
    state: Literal["open", "reached", "dropped", "missed"] = Field(
        description="A must-hit one is missed at the end of its due date, until it is reached."
    )
    due: date | None = Field(description="Null where no date is known.")
    reached_at: datetime | None = Field(description="Null until it is.")
    must_hit: bool = Field(description="Whether it gates the deal.")
    declared_by: str | None = Field(description="Who says so.")
    declared_at: datetime | None = Field(description="Since when.")


class MilestonesAnswer(Form):
    """The milestones of a deal."""

    milestones: list[MilestoneForm] = Field(description="Those due first first.")


class SpreadForm(Form):
    """The distribution of an amount."""

    expected: float = Field(description="The mean.")
    p10: float = Field(description="It is at most this with a probability of 10 %.")
    p50: float = Field(description="Of 50 %.")
    p90: float = Field(description="Of 90 %.")


class PartForm(Form):
    """The forecast of a quarter or a month."""

    won: float = Field(description="Won already.")
    open: SpreadForm = Field(description="Of deals open now.")
    unopened: SpreadForm = Field(description="Of deals not yet opened; zero of some owners' alone.")
    total: SpreadForm = Field(description="Of all three together.")


class MonthForm(Form):
    """One month of the quarter."""

    first: date = Field(description="Its first day.")
    last: date = Field(description="Its last day that counts.")
    part: PartForm = Field(description="Its forecast.")


class CurrencyForm(Form):
    """The forecast in one currency."""

    currency: str | None = Field(description="ISO 4217; null where deals tell none.")
    won: float = Field(description="Won in the quarter.")
    won_deals: int = Field(description="Of how many deals.")
    open_deals: int = Field(description="Open ones.")
    unscorable: int = Field(description="Those of them without a number, which count in nothing.")
    without_amount: int = Field(description="Those of them without an amount, likewise.")
    quarter: PartForm | None = Field(description="Null once the quarter is over.")
    months: list[MonthForm] = Field(description="Its months.")
    reach: float | None = Field(
        ge=0.0, le=1.0, description="The probability to reach the target; null without one."
    )


class ForecastAnswer(Form):
    """What a quarter may come to, as a distribution."""

    as_of: datetime = Field(description="Nothing known later was used.")
    first: date = Field(description="The quarter's first day.")
    last: date = Field(description="Its last day that counts.")
    model_version: str = Field(description="Of the model.")
    currencies: list[CurrencyForm] = Field(description="The one of most deals first.")


class InstalledForm(Form):
    """One model that is kept."""

    version: str = Field(description="Equal versions give equal scores.")
    sha256: str = Field(description="Of its manifest, which seals the rest.")
    installed_at: datetime = Field(description="When.")
    in_force: bool = Field(description="Whether it scores now.")


class ModelsAnswer(Form):
    """The models that are kept."""

    models: list[InstalledForm] = Field(description="The latest in force first.")
