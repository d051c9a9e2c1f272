"""What was measured once, on simulated companies, and stands on every review's page.

How often the won amount of a quarter lies between P10 and P90 of its forecast: 200 companies, each
of its own seed and with a training of its own at the begin of one of four quarters, forecast at the
begin of the quarter's weeks 1, 6 and 11. Measured with

    pytest -s tests/benchmarks/test_forecast_coverage.py

(about 14 minutes of one core), which prints these shares; the README has them with what lay below
and above. Whoever changes the forecast measures again and writes them here and there.
"""

from __future__ import annotations

from typing import Final

COVERAGE_QUARTERS: Final = 200
# Week of the quarter, and the share within P10 to P90.
COVERAGE: Final[tuple[tuple[int, float], ...]] = ((1, 0.78), (6, 0.785), (11, 0.825))
