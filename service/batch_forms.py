"""What ``POST /v1/scores`` answers, as clients read it in the OpenAPI document."""

from __future__ import annotations

from pydantic import Field

from service.forms import Form, ProblemAnswer, ScoreAnswer


class RefusedForm(Form):
    """One deal that cannot be scored as asked."""

    index: int = Field(ge=0, description="Its place among the deals of the request, from 0.")
    deal_id: str | None = Field(description="Its id, where it has one.")
    problem: ProblemAnswer = Field(description="Why; its pointer points into the request.")


class BatchAnswer(Form):
    """The scores of many deals."""

    scores: list[ScoreAnswer] = Field(description="Of those that could be scored, in order.")
    refused: list[RefusedForm] = Field(description="The others.")
