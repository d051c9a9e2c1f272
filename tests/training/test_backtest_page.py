"""The page stands alone, says names as they are and runs nothing."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from training.backtest_page import page
from training.charts import curve_chart, difference_chart, reliability_chart
from training.curves import Curve, Step
from training.section import Cell, Chart, Section, Table, text_of

HOSTILE = "<script>alert('x')</script> & $a$ \"b\""
LOADING = {"src", "srcset", "poster", "data", "action", "formaction", "background", "ping"}


class Reader(HTMLParser):
    """Collects elements, with their attributes, and the text of the page."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    return reader


def step(value: str, points: float, low: float | None = None, high: float | None = None) -> Step:
    return Step(
        value=value,
        low=low,
        high=high,
        points=points,
        points_low=points - 0.01,
        points_high=points + 0.01,
        share=0.25,
    )


def curve(*steps: Step, is_category: bool) -> Curve:
    return Curve(
        feature="f",
        question=HOSTILE,
        unit="days",
        direction="free",
        strength=0.1,
        is_category=is_category,
        steps=steps,
    )


@pytest.fixture(scope="module")
def charts() -> list[Chart]:
    band = {
        "low": 0.1,
        "high": 0.2,
        "rows": 40,
        "deals": 12,
        "mean_probability": 0.15,
        "won_share": 0.3,
        "won_share_low": 0.2,
        "won_share_high": 0.4,
    }
    return [
        reliability_chart([band], 30.0),
        difference_chart([(HOSTILE, 0.02, 0.01, 0.03), ("other", -0.1, -0.2, 0.1)], 30.0),
        curve_chart(
            curve(step(HOSTILE, 0.02), step("顧客 $x$", -0.01), step("c", 0.0), is_category=True), 0
        ),
        curve_chart(
            curve(
                step("up to 3", 0.02, None, 3.0),
                step("over 3", -0.02, 3.0, None),
                step("not known", 0.0),
                is_category=False,
            ),
            1,
        ),
    ]


@pytest.fixture(scope="module")
def html(charts: list[Chart]) -> str:
    table = Table(
        caption=HOSTILE,
        header=(HOSTILE, "won"),
        rows=[(HOSTILE, Cell(text="▲ 12.0 %", danger=True)), ("  inner", "3.0 %")],
    )
    sections = [
        Section(key="first", title=HOSTILE, words=[HOSTILE], tables=[table]),
        Section(key="second", title="charts", words=["a", "b", "c"], charts=charts),
    ]
    return page(sections, HOSTILE)


def test_the_page_has_no_script_and_loads_nothing(html: str) -> None:
    reader = read(html)

    assert not {"script", "link", "iframe", "img", "object", "embed", "base"} & {
        tag for tag, _ in reader.elements
    }
    for tag, attributes in reader.elements:
        assert not LOADING & attributes.keys(), tag
        assert not [name for name in attributes if name.startswith("on")], tag
        href = attributes.get("href")
        assert href is None or href.startswith("#"), (tag, href)
    assert not re.search(r"https?:|//\w|@import|url\((?!#)", html)


def test_names_are_said_as_they_are_and_never_run(html: str) -> None:
    assert "<script" not in html
    assert read(html).text.count(HOSTILE) >= 5
    assert "顧客 $x$" in read(html).text  # no formula is made of dollar signs


def test_every_reference_of_a_drawing_is_to_itself(html: str) -> None:
    reader = read(html)
    ids = [attributes["id"] for _, attributes in reader.elements if "id" in attributes]

    assert len(ids) == len(set(ids))
    referred = set(re.findall(r'(?:url\(|href=")#([^)"]+)', html))
    assert referred
    assert referred <= set(ids)


def test_a_drawing_is_told_to_those_who_do_not_see_it(html: str) -> None:
    drawings = [attributes for tag, attributes in read(html).elements if tag == "svg"]

    assert len(drawings) == 4
    assert all(each["role"] == "img" and each["aria-label"] for each in drawings)


def test_the_same_report_is_the_same_page(html: str, charts: list[Chart]) -> None:
    again = reliability_chart(
        [
            {
                "low": 0.1,
                "high": 0.2,
                "rows": 40,
                "deals": 12,
                "mean_probability": 0.15,
                "won_share": 0.3,
                "won_share_low": 0.2,
                "won_share_high": 0.4,
            }
        ],
        30.0,
    )

    assert again == charts[0]
    assert again.svg in html


def test_danger_is_a_sign_and_a_weight_beside_the_colour(html: str) -> None:
    assert re.search(r'class="number danger">▲', html)


def test_the_terminal_gets_no_control_characters() -> None:
    table = Table(caption="t", header=("owner",), rows=[("\x1b[31mred\x07\n",)])

    assert text_of(table) == "t\nowner\nred"
