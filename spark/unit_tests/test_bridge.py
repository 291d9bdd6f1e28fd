"""Streams of Pendo and Customer.io as columns, in parts that other processes read. No Spark session is needed."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

import pyarrow as pa
import pytest
from product_analytics_spark import register
from product_analytics_spark.bridge import rounds, stream
from product_analytics_spark.bridge.reading import Chain, ChosenStream, columns, plan, read, require_served
from product_analytics_spark.bridge.source import PendoDataSource
from product_analytics_spark.bridge.values import record_batch
from pyspark.sql.datasource import DataSource, InputPartition
from pyspark.sql.types import StructType
from simulators.customerio import CustomerioSimulator, Options
from simulators.pendo import PendoSimulator
from simulators.pendo.mutations import APPS
from simulators.server import Fault
from source_customerio import SourceCustomerio
from source_customerio.budget import RequestBudget
from source_customerio.config import Config as CustomerioConfig
from source_pendo import SourcePendo
from source_pendo.closed_days import ClosedDays
from source_pendo.config import Config as PendoConfig
from test_kit.columns import differences
from test_kit.inlet import TOKEN, line, running_inlet
from test_kit.slices import read_together

PENDO = [stream.name for stream in SourcePendo().streams({"api_key": "key"})]
CUSTOMERIO = [stream.name for stream in SourceCustomerio().streams({"app_api_key": "key"})]


def clocks(monkeypatch: pytest.MonkeyPatch, now: Callable[[], datetime]) -> None:
    """Connector and bridge see the simulator's time."""
    for module in (
        "product_analytics_spark.bridge.reading",
        "product_analytics_spark.bridge.rounds",
        "source_customerio.streams.metrics",
        "source_pendo.streams.event_days",
        "source_pendo.streams.visitor_history",
    ):
        monkeypatch.setattr(f"{module}.utc_now", now)


@pytest.fixture
def pendo(monkeypatch: pytest.MonkeyPatch) -> Iterator[PendoSimulator]:
    with PendoSimulator(seed=1, size="tiny") as sim:
        clocks(monkeypatch, lambda: sim.now)
        yield sim
    assert sim.errors == []


@pytest.fixture
def customerio(monkeypatch: pytest.MonkeyPatch) -> Iterator[CustomerioSimulator]:
    monkeypatch.setattr(RequestBudget, "acquire", lambda self: None)
    monkeypatch.setattr(SourceCustomerio, "quiet_seconds", 0.0)
    with CustomerioSimulator(options=Options(rate_limit=None)) as sim:
        clocks(monkeypatch, lambda: datetime.fromtimestamp(sim.now, UTC))
        yield sim
    assert sim.errors == []


def of_pendo(sim: PendoSimulator, name: str, **options: Any) -> ChosenStream:
    """A stream of the simulated subscription."""
    given = {"api_key": sim.api_key, "api_url": sim.url, "start_date": "2026-03-12", **options}
    return ChosenStream(SourcePendo, PendoConfig.parse(given), name)


def of_customerio(sim: CustomerioSimulator, name: str, **options: Any) -> ChosenStream:
    """A stream of the simulated workspace."""
    given = {"app_api_key": sim.api_key, "api_url": sim.url, "start_date": sim.start_date, **options}
    return ChosenStream(SourceCustomerio, CustomerioConfig.parse(given), name)


def read_all(chosen: ChosenStream, parts: list[Chain], schema: pa.Schema | None = None) -> list[dict[str, Any]]:
    """The rows of some parts, each read as by a process of its own."""
    wanted = columns(chosen) if schema is None else schema
    return [
        row
        for part in parts
        for batch in read(pickle.loads(pickle.dumps(chosen)), wanted, pickle.loads(pickle.dumps(part)))
        for row in batch.to_pylist()
    ]


def assert_same_as_the_connector(chosen: ChosenStream, now: datetime, readers: int = 3) -> int:
    """Every value of every record is in the stream's columns. Returns the number of parts."""
    records = read_together(chosen.opened, now)
    assert records, chosen.name
    parts = plan(chosen, readers)
    assert differences(records, read_all(chosen, parts), chosen.opened().get_json_schema()) == ([], []), chosen.name
    return len(parts)


def test_every_stream_of_pendo_has_the_connectors_rows_in_parts(pendo: PendoSimulator) -> None:
    chosen = {"report_ids": [pendo.truth("reports")[0]["id"]], "segment_ids": [pendo.truth("segments")[0]["id"]]}
    for name in [*PENDO, "report_results", "segment_memberships"]:
        parts = assert_same_as_the_connector(of_pendo(pendo, name, **chosen), pendo.now)
        assert parts == (3 if name.endswith("events") else 1), name


def test_every_stream_of_customer_io_has_the_connectors_rows_in_parts(customerio: CustomerioSimulator) -> None:
    for name in CUSTOMERIO:
        parts = assert_same_as_the_connector(
            of_customerio(customerio, name), datetime.fromtimestamp(customerio.now, UTC)
        )
        assert parts == (3 if name == "messages" else 1), name


@pytest.mark.parametrize("kind", ["pendo", "customerio"])
def test_events_of_a_webhook_inlet_are_read_whole(
    kind: str, pendo: PendoSimulator, customerio: CustomerioSimulator
) -> None:
    """Its options are an object, so they are given in `config`."""
    with running_inlet() as inlet:
        for lane in ("20261126T220100Z-aaaaaa", "20261126T220100Z-bbbbbb"):
            inlet.lane(lane).add(line(f"{kind}:{lane}", b'{"event": "guideSeen", "event_id": "01", "made_up": [1]}'))
        store = {"type": "inlet", "url": inlet.url, "token": TOKEN, "inlet": "prod"}
        if kind == "pendo":
            chosen = of_pendo(pendo, "webhook_events", webhook_store=store)
        else:
            chosen = of_customerio(customerio, "webhook_events", webhook_store=store)
        now = datetime.now(UTC)
        assert len(read_together(chosen.opened, now)) == 2
        assert assert_same_as_the_connector(chosen, now) == 1


def test_fields_that_no_column_has_are_json_text(customerio: CustomerioSimulator) -> None:
    customerio.workspace.lists["campaigns"][0]["brand_new"] = {"Any Key": [1, None]}
    chosen = of_customerio(customerio, "campaigns")
    found = [row["_extra"] for row in read_all(chosen, plan(chosen, 1)) if row["_extra"]]
    assert found == ['{"brand_new":{"Any Key":[1,null]}}']


def test_a_value_of_another_type_than_its_column_is_null_there_and_json_text_beside_it() -> None:
    instant = pa.timestamp("us", tz="UTC")
    fields = {"n": pa.int64(), "x": pa.float64(), "b": pa.bool_(), "at": instant, "d": pa.date32(), "t": pa.string()}
    schema = pa.schema([*fields.items(), ("_extra", pa.string())])
    fits = {"n": 3.0, "x": 1, "b": True, "at": "2026-03-01T00:00:00.123Z", "d": "2026-03-01", "t": [1, {"a": "ü"}]}
    wrong = {"n": 2**63, "x": True, "b": 1, "at": "soon", "d": 7}
    more = [{"n": value} for value in (1.5, "7", True, float("nan"), float("inf"))]
    more += [{"x": value} for value in (2**53 + 1, 10**400, "1.5")]
    found = record_batch([fits, wrong, *more, {}], schema).to_pylist()
    assert found[0] == {
        "n": 3,
        "x": 1.0,
        "b": True,
        "at": datetime(2026, 3, 1, 0, 0, 0, 123_000, UTC),
        "d": datetime(2026, 3, 1, tzinfo=UTC).date(),
        "t": '[1,{"a":"ü"}]',
        "_extra": None,
    }
    assert [{name for name, value in row.items() if value is not None} for row in found[1:]] == [{"_extra"}] * 9 + [
        set()
    ]
    assert json.loads(found[1]["_extra"]) == wrong
    assert [json.loads(row["_extra"]) for row in found[2:5]] == more[:3]
    assert [json.loads(row["_extra"]) for row in found[7:10]] == more[5:]
    narrow = record_batch(
        [{"x": 1e300}, {"x": 2**24 + 1}, {"x": 0.5}], pa.schema([("x", pa.float32()), ("_extra", pa.string())])
    )
    assert [(row["x"], row["_extra"]) for row in narrow.to_pylist()] == [
        (None, '{"x":1e+300}'),
        (None, '{"x":16777217}'),
        (0.5, None),
    ]
    half = record_batch([{"t": "\ud83d"}, {"t": "whole"}], schema).to_pylist()
    assert [(row["t"], row["_extra"]) for row in half] == [(None, '{"t":"\ufffd"}'), ("whole", None)]


def test_a_given_schema_without_the_extra_column_leaves_fields_out_and_refuses_values_of_another_type() -> None:
    schema = pa.schema([("id", pa.int32()), ("lacking", pa.string())])
    assert record_batch([{"id": 1, "name": "x"}], schema).to_pylist() == [{"id": 1, "lacking": None}]
    with pytest.raises(Exception, match="A value of the column id is not of the type int32"):
        record_batch([{"id": 2**31}], schema)
    with pytest.raises(Exception, match="The column tags cannot be read as list<item: string>: declare it as string"):
        require_served(pa.schema([("tags", pa.list_(pa.string()))]))
    with pytest.raises(Exception, match=r"The column id may be null, as every column\. Leave NOT NULL out"):
        require_served(pa.schema([pa.field("id", pa.string(), nullable=False)]))


def test_only_the_partition_that_spark_makes_of_none_is_empty() -> None:
    """Slices whose class was pickled by value are read, too."""
    part = Chain((1, 2), 1, datetime(2026, 3, 1, tzinfo=UTC))
    assert stream.part_of(InputPartition(None)) is None
    assert stream.part_of(type("Slices", (InputPartition,), {"part": part})(None)) == part


def test_what_can_be_refused_is_refused_while_the_read_is_planned(
    pendo: PendoSimulator, customerio: CustomerioSimulator
) -> None:
    with pytest.raises(Exception, match=r"There is no stream visits\. The streams are: accounts, "):
        columns(of_pendo(pendo, "visits"))
    with pytest.raises(Exception, match="key"):
        plan(of_pendo(pendo, "pages", api_key="wrong"), 1)
    with pytest.raises(Exception, match="key"):
        plan(of_customerio(customerio, "customers", app_api_key="wrong"), 1)
    with pytest.raises(Exception, match="concurrency must not be larger than requests_per_second, which is 2"):
        plan(of_customerio(customerio, "messages", requests_per_second=2), 3)


class Query:
    """A streaming query over the bridge, as Spark runs one: what it has read, and its checkpoint."""

    def __init__(self, chosen: ChosenStream, most: int | None) -> None:
        self.chosen, self.most = chosen, most
        self.offset = dict(rounds.BEGINNING)
        self.rows: list[dict[str, Any]] = []
        self.batches: list[int] = []

    def planned(self) -> tuple[dict[str, Any], list[Chain]]:
        """The next offset and the parts up to it, written and read as JSON."""
        start = json.loads(json.dumps(self.offset))
        if rounds.is_complete(start):
            start = rounds.begun(start, rounds.present(self.chosen))
        end = json.loads(json.dumps(rounds.latest(self.chosen, start, self.most)))
        return end, rounds.parts(self.chosen, 2, self.offset, end)

    def round(self) -> None:
        """Batches to the end of a round."""
        while True:
            end, parts = self.planned()
            found = read_all(self.chosen, parts)
            self.rows += found
            self.batches.append(len(found))
            self.offset = end
            if rounds.is_complete(end):
                return

    def held(self, key: str) -> list[dict[str, Any]]:
        """The newest row of each key."""
        return list({row[key]: row for row in self.rows}.values())


def test_rounds_of_days_end_equal_to_the_truth_and_their_state_is_behind_the_connectors(pendo: PendoSimulator) -> None:
    """Also of rows that come late, and of days that grow."""
    chosen = of_pendo(pendo, "page_events")
    query = Query(chosen, most=3)
    query.round()
    assert len(query.batches) == 4  # 10 days
    before = len(query.rows)
    assert len(query.held("record_id")) == before
    pendo.mutate("late", source="pageEvents", day="2026-03-13", rows=3)
    pendo.mutate("grow", source="pageEvents", day="2026-03-14", rows=4)
    pendo.mutate("advance", days=2)
    query.round()
    truth = read_together(chosen.opened, pendo.now)
    held, wanted = ([{**row, "read_at": None} for row in rows] for rows in (query.held("record_id"), truth))
    assert differences(wanted, held, chosen.opened().get_json_schema()) == ([], [])
    opened: Any = chosen.opened()
    opened.start({}, True, pendo.now)
    closed = [
        item.update["day"] for day in opened.slices() for item in opened.read_slice(day) if hasattr(item, "update")
    ]
    assert json.loads(str(query.offset["state"]))["day"] < max(closed)


def test_rounds_of_windows_read_the_lookback_again_and_end_equal_to_the_truth(customerio: CustomerioSimulator) -> None:
    chosen = of_customerio(customerio, "messages", messages_lookback_days=2)
    query = Query(chosen, most=2)
    query.round()
    first = sum(query.batches)
    assert len(query.batches) >= 3
    assert len(query.held("id")) == first == len(query.rows)
    customerio.mutate("advance", seconds=86_400)
    query.round()
    truth = read_together(chosen.opened, datetime.fromtimestamp(customerio.now, UTC))
    assert differences(truth, query.held("id"), chosen.opened().get_json_schema()) == ([], [])
    assert sum(query.batches) < 2 * first
    read_to = datetime.fromisoformat(str(query.offset["read_to"]))  # by the server's clock, which is not advanced
    assert json.loads(str(query.offset["state"])) == {"created": int(read_to.timestamp())}


def test_the_clock_of_the_vendor_is_asked_again_where_its_limit_was_reached(customerio: CustomerioSimulator) -> None:
    """A running query must not end because somebody else used up the requests of a second."""
    customerio.faults.add(Fault("status", path="/messages", times=2, status=429, headers={"Retry-After": "0"}))
    assert rounds.present(of_customerio(customerio, "messages"))


@pytest.mark.parametrize("seed", range(6))
def test_rounds_that_are_interrupted_anywhere_end_equal_to_the_truth(pendo: PendoSimulator, seed: int) -> None:
    """Meanwhile days pass, rows come late, and an application lags. An offset is logged before its batch is read."""
    choose = Random(seed)
    name, source = choose.choice([("page_events", "pageEvents"), ("guide_events", "guideEvents"), ("events", "events")])
    query = Query(of_pendo(pendo, name), most=choose.choice((None, 1, 3)))
    logged = None
    for _ in range(10):
        match choose.choice(("advance", "late", "lag", "nothing")):
            case "advance":
                pendo.mutate("advance", hours=choose.choice((1, 13, 50, 80)))
            case "late":
                day = (pendo.now - timedelta(days=choose.randint(1, 7))).date()
                pendo.mutate("late", source=source, day=max(day, date(2026, 3, 12)).isoformat(), rows=2)
            case "lag":
                pendo.mutate("lag", app_id=choose.choice(APPS)["id"], days=choose.choice((0, 1, 5)))
        logged = logged or query.planned()[0]
        if choose.random() < 0.7:
            found = read_all(
                query.chosen,
                rounds.parts(query.chosen, choose.randint(1, 3), query.offset, json.loads(json.dumps(logged))),
            )
            query.rows += found if choose.random() < 0.8 else found[: len(found) // 2]
            if choose.random() < 0.7:
                query.rows += found
                query.offset, logged = logged, None
    for app in APPS:
        pendo.mutate("lag", app_id=app["id"])
    if logged:
        query.rows += read_all(query.chosen, rounds.parts(query.chosen, 2, query.offset, logged))
        query.offset = logged
    while not rounds.is_complete(query.offset) or query.offset["read_to"] != pendo.now.isoformat():
        query.round()
    truth = read_together(query.chosen.opened, pendo.now)
    held, wanted = ([{**row, "read_at": None} for row in rows] for rows in (query.held("record_id"), truth))
    assert differences(wanted, held, query.chosen.opened().get_json_schema()) == ([], [])


def test_a_batch_whose_offsets_are_logged_is_planned_again_the_same(pendo: PendoSimulator) -> None:
    query = Query(of_pendo(pendo, "guide_events"), most=4)
    end, parts = query.planned()
    assert rounds.parts(query.chosen, 2, query.offset, end) == parts
    query.offset = end
    second, _ = query.planned()
    pendo.mutate("advance", days=1)  # the query was stopped for a day: the round goes on as it began
    assert query.planned()[0] == second


def test_options_that_change_within_a_round_are_refused(pendo: PendoSimulator) -> None:
    query = Query(of_pendo(pendo, "page_events"), most=4)
    query.offset, _ = query.planned()
    query.chosen = of_pendo(pendo, "page_events", start_date="2026-03-14")
    with pytest.raises(Exception, match="The options were changed while the query was within a round"):
        query.planned()


@pytest.mark.parametrize(
    "changed", [{"num_workers": 10}, {"end_date": "2026-02-20"}, {"start_date": "2026-02-25"}, {"start_date": None}]
)
def test_options_that_change_before_a_logged_batch_is_read_again_are_refused(
    customerio: CustomerioSimulator, changed: dict[str, Any]
) -> None:
    """The state behind the batch relies on its slices, also where the batch ends a round."""
    query = Query(of_customerio(customerio, "messages"), most=3)
    query.offset, _ = query.planned()
    query.most = None
    end, parts = query.planned()
    assert rounds.is_complete(end)
    assert parts
    query.chosen = of_customerio(customerio, "messages", **changed)
    with pytest.raises(Exception, match="The options were changed while the query was within a round"):
        rounds.parts(query.chosen, 2, query.offset, end)
    with pytest.raises(Exception, match="The options were changed while the query was within a round"):
        rounds.parts(query.chosen, 2, rounds.BEGINNING, end)


def test_a_first_round_without_a_day_to_read_leaves_the_connectors_state(pendo: PendoSimulator) -> None:
    """Without a state, the default of 30 days would begin later with every round."""
    query = Query(of_pendo(pendo, "page_events", start_date=None, end_date="2026-01-01"), most=None)
    query.round()
    opened: Any = query.chosen.opened()
    opened.start({}, True, datetime.fromisoformat(str(query.offset["read_to"])))
    assert list(opened.slices()) == []
    assert json.loads(str(query.offset["state"])) == opened.final_state() != {}


def test_a_round_that_spark_cannot_divide_goes_from_state_to_state(pendo: PendoSimulator) -> None:
    """Before Spark 4.2 the next offset is found without the one before it."""
    chosen = of_pendo(pendo, "page_events")
    start = rounds.BEGINNING
    rows: list[dict[str, Any]] = []
    for days in (0, 3):
        pendo.mutate("advance", days=days)
        end = rounds.latest(chosen, rounds.begun(rounds.BEGINNING, rounds.present(chosen)), None)
        rows += read_all(chosen, rounds.parts(chosen, 2, start, end))
        start = end
    held = {row["record_id"] for row in rows}
    assert held == {row["record_id"] for row in read_together(chosen.opened, pendo.now)}


def test_a_day_that_reading_does_not_close_fails_its_task_where_a_state_counts_on_it(
    pendo: PendoSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = Query(of_pendo(pendo, "page_events"), most=1)
    _, parts = query.planned()
    monkeypatch.setattr(ClosedDays, "closes", lambda *_: False)
    with pytest.raises(Exception, match="Rows of page_events may be missing in 2026-03-12"):
        read_all(query.chosen, parts)


def test_streams_whose_end_only_reading_tells_are_refused_by_name(
    pendo: PendoSimulator, customerio: CustomerioSimulator
) -> None:
    able = "email_events, events, feature_events, guide_events, page_events, poll_events, track_events"
    with pytest.raises(Exception, match=f"The stream visitors cannot be read by readStream.*: {able}[.]"):
        rounds.require_rounds(of_pendo(pendo, "visitors"))
    with pytest.raises(Exception, match=r"The stream customers cannot be read by readStream.*: messages\."):
        rounds.require_rounds(of_customerio(customerio, "customers"))


class Settings(dict[str, str]):
    """The settings of a session."""

    set = dict.__setitem__


class Session:
    """What `register` needs of a session."""

    version = "4.3.0"

    def __init__(self, speculation: str) -> None:
        self.conf = Settings({"spark.speculation": speculation})
        self.dataSource = self
        self.formats: dict[str, type[DataSource]] = {}

    def register(self, source: type[DataSource]) -> None:
        self.formats[source.name()] = source


@pytest.mark.parametrize("kind", ["pendo", "customerio"])
def test_a_session_that_runs_tasks_twice_cannot_use_formats_whose_vendors_count_requests(kind: str) -> None:
    twice, once = Session("TRUE"), Session("false")
    register(twice)  # type: ignore[arg-type]
    register(once)  # type: ignore[arg-type]
    with pytest.raises(Exception, match=r"cannot be used with spark\.speculation=true"):
        twice.formats[kind]({"table": "pages"}).schema()
    with pytest.raises(Exception, match=r"cannot be used with spark\.speculation=true"):
        twice.formats[kind]({"table": "pages"}).reader(StructType())
    assert set(once.formats) == {"heap", "pendo", "customerio"}
    with pytest.raises(Exception, match="key is missing"):
        once.formats[kind]({"table": "pages"}).schema()


@pytest.mark.parametrize("name", ["concurrency", "maxSlicesPerTrigger"])
@pytest.mark.parametrize("value", ["0", "-1", "2.0", "many", "9999999"])
def test_numbers_of_tasks_and_slices_are_checked_while_the_read_is_planned(name: str, value: str) -> None:
    source = PendoDataSource({"table": "pages", "api_key": "key", name: value})
    with pytest.raises(Exception, match=f"Option {name} must be a whole number from 1 to "):
        source.schema()


def test_a_running_query_begins_a_round_once_an_hour_at_most(
    pendo: PendoSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a trigger it would read the lookback again and again."""
    clock = [1000.0]
    monkeypatch.setattr(stream.time, "monotonic", lambda: clock[0])
    chosen = of_pendo(pendo, "page_events")
    reader = stream.RoundsReader(chosen, 2, None, columns(chosen))
    first = reader.latestOffset(reader.initialOffset())
    pendo.mutate("advance", days=1)
    clock[0] += stream.ROUND_SECONDS - 1
    assert reader.latestOffset(first) == first
    clock[0] += 1
    assert reader.latestOffset(first) != first
    anew = stream.RoundsReader(chosen, 2, None, columns(chosen))
    assert anew.latestOffset(first) != first


def test_available_now_reads_the_rest_of_a_round_and_one_more(pendo: PendoSimulator) -> None:
    chosen = of_pendo(pendo, "page_events")
    reader = stream.RoundsReader(chosen, 2, 4, columns(chosen))
    within = reader.latestOffset(reader.initialOffset(), reader.getDefaultReadLimit())
    pendo.mutate("advance", days=2)
    restarted = stream.RoundsReader(chosen, 2, 4, columns(chosen))
    restarted.prepareForTriggerAvailableNow()
    pendo.mutate("advance", days=2)
    offsets = [within]
    while (end := restarted.latestOffset(offsets[-1], restarted.getDefaultReadLimit())) != offsets[-1]:
        assert restarted.partitions(offsets[-1], end)
        offsets.append(end)
    ended = [offset["read_to"] for offset in offsets if rounds.is_complete(offset)]
    assert ended == ["2026-03-20T16:30:00+00:00", "2026-03-22T16:30:00+00:00"]


def test_an_older_spark_reads_a_round_at_once_and_refuses_a_limit(pendo: PendoSimulator) -> None:
    """Before Spark 4.2 nothing is passed to `latestOffset`."""
    chosen = of_pendo(pendo, "page_events")
    reader = stream.RoundsReader(chosen, 2, None, columns(chosen))
    end = reader.latestOffset()
    assert reader.latestOffset() == end
    assert rounds.is_complete(end)
    slices = [slice_ for part in reader.partitions(reader.initialOffset(), end) for slice_ in part.part.slices]
    assert len(slices) == 10
    with pytest.raises(Exception, match=r"Option maxSlicesPerTrigger needs Spark 4\.2 or later"):
        stream.RoundsReader(chosen, 2, 3, columns(chosen)).latestOffset()
