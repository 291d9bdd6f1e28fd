"""The dbt package builds on the tables of all connectors, and its figures are the vendors'.

The lines of its page are run. The package dbt_pendo is not here: the views are held against a list of the tables and
columns that it reads.
"""

from __future__ import annotations

import re
import shutil
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
import yaml
from harness.dbt_project import PROJECT, Done, Project, load
from harness.product_analyst import weekly_active_visitors
from harness.runner import Runner
from harness.suite import ROOT, connectors
from harness.vendors import MOMENT, running
from test_kit.messages import Output, Row

pytestmark = [pytest.mark.dbt, pytest.mark.slow, pytest.mark.timeout(600)]

README = (PROJECT / "README.md").read_text(encoding="utf-8")
_EXPECTED = yaml.safe_load(
    (ROOT / "integration_tests" / "clients" / "dbt" / "fivetran_pendo_tables.yml").read_text(encoding="utf-8")
)
_TYPES = {
    "text": {"VARCHAR"},
    "time": {"TIMESTAMP"},
    "int": {"BIGINT", "INTEGER"},
    "float": {"DOUBLE"},
    "bool": {"BOOLEAN"},
}
#: The table of which each view has the rows
_SAME_ROWS = {
    "account_history": "accounts",
    "application_history": "apps",
    "event": "events",
    "feature_event": "feature_events",
    "feature_history": "features",
    "guide_event": "guide_events",
    "guide_history": "guides",
    "page_event": "page_events",
    "page_history": "pages",
    "poll_event": "poll_events",
    "visitor_history": "visitors",
}
#: Older copies of rows, as a destination that only appends keeps them, with values that must not be seen
_OLDER = {
    "pendo.pages": "'old' as name",
    "pendo.page_events": "read_at - interval 1 day as read_at, num_events + 1 as num_events",
    "customerio.messages": "cast('{}' as json) as metrics",
    "heap.users": "'zzz' as identity",
    "heap.sessions": "_heap_generation - 1 as _heap_generation, session_id + 1 as session_id",
}
#: Metrics of which only is known whether they are above 0
_HUMAN = ("human_opened", "human_clicked")
_STEPS = ("sign_up_click_link", "checkout_complete_order_web_")


def _line(beginning: str) -> str:
    """The command of the page that begins so."""
    (found,) = re.findall(rf"^{beginning}.*$", README, re.MULTILINE)
    return str(found)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The tables of all connectors, as the demo writes them."""
    folder = tmp_path_factory.mktemp("plain")
    outputs: dict[str, Output] = {}
    for connector in connectors():
        with running(connector, moment=MOMENT) as vendor:
            outputs[connector.vendor] = load(folder / "tables.duckdb", Runner(connector, vendor, folder))
    return Project(folder / "tables.duckdb", outputs, folder)


@pytest.fixture(scope="module")
def project(plain: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The same from a destination of Airbyte that only appends. `events` was written long ago, the others just now."""
    folder = tmp_path_factory.mktemp("appended")
    made = Project(folder / "tables.duckdb", plain.outputs, folder)
    shutil.copy(plain.database, made.database)
    now = datetime.now(UTC)
    statements = []
    for table in made.tables:
        written = MOMENT if table == 'pendo."events"' else now
        statements += [
            f"alter table {table} add column _airbyte_extracted_at timestamptz",
            f"update {table} set _airbyte_extracted_at = '{written}'",
        ]
    before = f"timestamptz '{now - timedelta(hours=2)}' as _airbyte_extracted_at"
    statements += [f"insert into {t} select * replace ({older}, {before}) from {t}" for t, older in _OLDER.items()]
    # of the few people of this account, one does not go on in the funnel
    statements.append(f"delete from heap.{_STEPS[1]} where user_id = (select max(user_id) from heap.{_STEPS[0]})")
    made.change(*statements)
    return made


@pytest.fixture(scope="module")
def built(project: Project) -> Done:
    """`dbt build`, as on the page."""
    done = project.run(_line("dbt build --project-dir"))
    assert done.code == 0, done.printed
    return done


@pytest.fixture(scope="module")
def documented(project: Project, built: Done) -> Done:
    """`dbt docs generate`, as on the page."""
    done = project.run(_line("dbt docs generate"))
    assert done.code == 0, done.printed
    return done


def test_every_model_is_built_and_every_test_of_the_package_passes(built: Done) -> None:
    ended = Counter((name.split(".")[0], status) for name, status in built.statuses().items())

    assert ended.keys() == {("model", "success"), ("test", "pass")}
    assert ended["model", "success"] == 24
    assert ended["test", "pass"] > 40


def test_the_views_have_every_table_and_column_that_dbt_pendo_reads_with_its_type(documented: Done) -> None:
    found = {
        node["metadata"]["name"]: {name: column["type"] for name, column in node["columns"].items()}
        for name, node in documented.files["catalog"]["nodes"].items()
        if ".fivetran_pendo__" in name
    }

    assert found.keys() == _EXPECTED.keys()
    for table, kinds in _EXPECTED.items():
        wanted = {name: kind for kind, names in kinds.items() for name in names}
        assert found[table].keys() == wanted.keys(), table
        assert [name for name, kind in wanted.items() if found[table][name] not in _TYPES[kind]] == [], table


def test_every_model_and_source_and_each_listed_column_of_a_model_is_described(documented: Done) -> None:
    manifest = documented.files["manifest"]
    nodes = [*manifest["sources"].values(), *manifest["nodes"].values()]
    listed = [node for node in nodes if node["resource_type"] in ("model", "source")]

    assert len(listed) > 90
    assert [node["unique_id"] for node in listed if not node["description"]] == []
    models = [node for node in listed if node["resource_type"] == "model"]
    columns = [(model["name"], column) for model in models for column in model["columns"].values()]
    assert len(columns) > 100
    assert [(model, column["name"]) for model, column in columns if not column["description"]] == []


@pytest.mark.usefixtures("built")
def test_the_views_hold_the_newest_rows_of_the_tables_and_join(plain: Project, project: Project) -> None:
    def count(of: str) -> int:
        ((number,),) = project.rows(f"use analytics_fivetran_pendo; select count(*) from {of}")
        return int(number)

    for view, table in _SAME_ROWS.items():
        assert count(view) == len(plain.rows(f"from pendo.{table}")) > 0, view
    for view in ("event", "page_event", "feature_event", "guide_event", "poll_event"):
        assert count(f'{view} where "timestamp" is null or _fivetran_synced is null') == 0, view
    joins = (
        "guide_event as e anti join guide_step_history as s on s.guide_id = e.guide_id and s.step_id = e.guide_step_id",
        "poll_event as e anti join poll as p on p.id = e.poll_id",
        "page_history as p anti join user as u on u.id = p.created_by_user_id",
        "page_event as e anti join application_history as a on a.id = e.app_id",
    )
    assert [join for join in joins if count(join)] == []
    assert count("page_history where name = 'old'") == 0
    records = project.outputs["pendo"].records
    assert count("page_rule_history") == sum(len(page.get("rules") or []) for page in records["pages"]) > 0
    tagged = [row for stream in ("pages", "features", "guides", "track_types") for row in records[stream]]
    groups = {row["group"]["id"] for row in tagged if row.get("group")}
    assert {name for (name,) in project.rows('select id from analytics_fivetran_pendo."group"')} == groups != set()
    found = project.rows("select visitor_id, account_id from analytics_fivetran_pendo.visitor_account_history")
    metadata = [(row["visitor_id"], row.get("metadata_auto") or {}) for row in records["visitors"]]
    pairs = {(visitor, auto.get("accountid")) for visitor, auto in metadata}
    pairs |= {(visitor, account) for visitor, auto in metadata for account in auto.get("accountids") or []}
    assert sorted(found) == sorted(pair for pair in pairs if pair[1] is not None)


@pytest.mark.usefixtures("built")
def test_weekly_active_visitors_of_the_views_are_those_of_the_subscription(project: Project) -> None:
    days = project.outputs["pendo"].column("page_events", "day")
    (pendo,) = (connector for connector in connectors() if connector.vendor == "pendo")
    with running(pendo, moment=MOMENT) as vendor:
        expected = weekly_active_visitors(vendor.simulator, datetime.fromisoformat(min(days)).date())

    answer = project.rows(
        """with views as (
          select *, "timestamp" at time zone 'UTC' at time zone 'America/New_York' as at_place
          from analytics_fivetran_pendo.page_event
        )
        select cast(date_trunc('week', at_place + interval 1 day) as date) - 1, p.name, count(distinct visitor_id)
        from views left join analytics_fivetran_pendo.page_history as p on p.id = page_id group by all"""
    )

    assert {(week, page): (visitors,) for week, page, visitors in answer} == expected != {}


@pytest.mark.usefixtures("built")
def test_deliveries_and_campaigns_have_the_opens_and_clicks_that_customerio_recorded(project: Project) -> None:
    messages = project.outputs["customerio"].records["messages"]
    metrics = {row["id"]: row["metrics"] or {} for row in messages}
    sent = {row["id"]: (row["campaign_id"], row["type"]) for row in messages}
    campaigns = {
        (campaign, channel): figures
        for campaign, channel, *figures in project.rows(
            "select campaign_id, channel, opened, clicked, deliveries "
            "from analytics_customerio.customerio_campaign_performance"
        )
    }
    deliveries = project.rows(
        "select delivery_id, epoch(opened_at), epoch(clicked_at), human_opened, human_clicked "
        "from analytics_customerio.customerio_deliveries"
    )

    assert {key: times for key, *times, _, _ in deliveries} == {
        key: [found.get("opened"), found.get("clicked")] for key, found in metrics.items()
    }
    for place, metric in enumerate(_HUMAN):
        human = {key for key, found in metrics.items() if (found.get(metric) or 0) > 0}
        by_campaign = Counter(sent[key] for key in human)
        assert {row[0] for row in deliveries if row[3 + place]} == human != set()
        assert [key for key, figures in campaigns.items() if figures[place] != by_campaign[key]] == []
    assert {key: figures[2] for key, figures in campaigns.items()} == {
        key: count for key, count in Counter(sent.values()).items() if key[0] is not None
    }
    people = project.rows("select cio_id, email, unsubscribed from analytics_customerio.customerio_people")
    assert {person[0]: person[1:] for person in people} == {
        row["cio_id"]: ((row["identifiers"] or {}).get("email"), bool(row["unsubscribed"]))
        for row in project.outputs["customerio"].records["customers"]
    }


@pytest.mark.usefixtures("built")
def test_persons_sessions_and_the_funnel_of_heap_follow_the_map_of_ids(project: Project) -> None:
    person = {row["from_user_id"]: row["to_user_id"] for row in _live(project, "user_migrations")}

    def resolved(row: Row) -> int:
        return int(person.get(row["user_id"], row["user_id"]))

    stopped = max(row["user_id"] for row in _live(project, _STEPS[0]))
    began: dict[int, datetime] = {}
    for row in _live(project, _STEPS[0]):
        began[resolved(row)] = min(_time(row), began.get(resolved(row), _time(row)))
    went_on = {
        resolved(row)
        for row in _live(project, _STEPS[1])
        if row["user_id"] != stopped
        and resolved(row) in began
        and timedelta(0) <= _time(row) - began[resolved(row)] < timedelta(days=7)
    }

    users = project.rows("select user_id, user_ids, identity from analytics_heap.heap_resolved_users")
    sessions = project.rows("select session_id, resolved_user_id from analytics_heap.heap_sessions")
    funnel = project.rows("select event_table, people from analytics_heap.heap_funnel order by step")

    assert person
    assert {user: ids for user, ids, _ in users} == Counter(resolved(row) for row in _live(project, "users"))
    assert "zzz" not in {identity for *_, identity in users}
    assert sorted(sessions) == sorted({(row["session_id"], resolved(row)) for row in _live(project, "sessions")})
    assert funnel == [(_STEPS[0], len(began)), (_STEPS[1], len(went_on))]
    assert len(began) > len(went_on) > 0


def _live(project: Project, table: str) -> list[Row]:
    """The rows of the newest generation, the last of each that came again."""
    records = project.outputs["heap"].records
    generations = [row["generation"] for row in records["_heap_dumps"] if row["table_name"] == table]
    generation = max(number for number in generations if number is not None)
    key = {"users": ("user_id",), "user_migrations": ("from_user_id",), "sessions": ("session_id", "user_id")}
    rows = sorted(records[table], key=lambda row: int(row["_heap_dump_id"]))
    return list(
        {
            tuple(row[name] for name in key.get(table, ("event_id", "user_id"))): row
            for row in rows
            if row["_heap_generation"] == generation
        }.values()
    )


def _time(row: Row) -> datetime:
    return datetime.fromisoformat(row["time"])


@pytest.mark.usefixtures("built")
def test_freshness_finds_the_table_that_no_sync_has_written_to(project: Project) -> None:
    done = project.run(_line("dbt source freshness"))
    found = {name.rpartition(".")[2]: status for name, status in done.statuses("sources").items()}

    assert done.code == 1
    assert {name: status for name, status in found.items() if status != "pass"} == {"events": "error"}
    assert found.keys() >= {"page_events", "visitors", "messages", "customers", "sessions", "_heap_dumps"}


def test_what_a_warehouse_lacks_is_null_and_what_the_project_names_is_added(plain: Project) -> None:
    """Neither a list of applications nor the destination's column; events by the hour, and columns by variables."""
    changed = Project(plain.folder / "changed.duckdb", plain.outputs, plain.folder)
    shutil.copy(plain.database, changed.database)
    changed.change(
        "drop table pendo.apps",
        "alter table pendo.events add column hour timestamptz",
        "update pendo.events set hour = day + interval 3 hour where num_events % 2 = 0",
    )
    variables = "{pendo_visitor_metadata: [{group: agent, field: email}], customerio_attributes: [Favorite Color]}"
    views = ("application_history", "event", "visitor_history")
    models = " ".join(["customerio_people", *(f"fivetran_pendo__{view}" for view in views)])
    done = changed.run(f"dbt run --project-dir dbt --profiles-dir dbt --vars '{variables}' --select {models}")
    assert done.code == 0, done.printed

    def rows(sql: str) -> list[tuple[object, ...]]:
        return changed.rows(f"use analytics_fivetran_pendo; {sql}")

    apps = "select distinct cast(app_id as varchar) as id from pendo.pages order by id"
    assert rows("select id from application_history order by id") == rows(apps) != []
    by_hour = "select count(*) from event as e join pendo.events as t on t.record_id = e._fivetran_id"
    by_hour += " where e.timestamp = coalesce(t.hour, t.day) at time zone 'UTC' group by t.hour is null"
    assert sum(int(str(count)) for (count,) in rows(by_hour)) == len(plain.outputs["pendo"].records["events"])
    assert len(rows(by_hour)) == 2
    assert rows("select count(_fivetran_synced) from visitor_history") == [(0,)]
    assert rows("select agent_email from visitor_history where id = ' leading space'") == [(" leading space",)]
    assert ("türkis",) in rows("select attribute_favorite_color from analytics_customerio.customerio_people")


def test_the_page_has_every_variable() -> None:
    variables = yaml.safe_load((PROJECT / "dbt_project.yml").read_text(encoding="utf-8"))["vars"]

    assert len(variables) > 5
    assert [name for name in variables if f"`{name}`" not in README] == []
