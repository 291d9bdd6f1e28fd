"""The SQL of Customer.io's page gives the right numbers, whichever way the vendor writes what it leaves open."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pytest

PAGE = Path(__file__).resolve().parents[1] / "docs" / "customerio.md"


@pytest.mark.parametrize("unit", [1_760_000_000, 1])
def test_opens_and_clicks_by_day_are_the_same_whether_deliveries_have_times_or_counts(unit: int) -> None:
    """`human_opened` and its like are described as counts, and recorded answers show times."""
    page = PAGE.read_text(encoding="utf-8")
    (recipe,) = re.findall(r"```sql\n(select c\.name, date_trunc.*?);\n```", page, re.DOTALL)
    with duckdb.connect() as warehouse:
        warehouse.execute("create table campaigns as select 4 as id, 'Welcome' as name")
        warehouse.execute(
            """create table messages as select 4 as campaign_id, created, cast(metrics as json) as metrics from (values
            (1760000000, '{}'), (1760000001, '{"human_opened": 0}'),
            (1760000002, '{"human_opened": ' || $unit || ', "human_clicked": null}'),
            (1760000003, '{"human_opened": ' || $unit + 6 || ', "human_clicked": ' || $unit + 7 || '}')
            ) as rows (created, metrics)""",
            {"unit": unit},
        )
        found = warehouse.execute(recipe).fetchall()

    assert [(name, *counts) for name, _, *counts in found] == [("Welcome", 4, 2, 1)]
