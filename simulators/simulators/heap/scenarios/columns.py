"""Scenarios of columns: added, dropped, with another type, with unusual names and values."""

from simulators.heap.account import Account, IdRange, Part, full, more
from simulators.heap.avro_files import Column
from simulators.heap.catalog import EVENT_METADATA, MIGRATIONS, PAGEVIEWS, SESSIONS, USERS
from simulators.heap.layout import Dump, TableDump
from simulators.heap.scenarios.builder import Scenario, ScenarioBuilder, Step
from simulators.heap.times import TimeEncoding

_TEXTS = (
    *(TimeEncoding.TEXT, TimeEncoding.ISO_Z, TimeEncoding.ISO_OFFSET, TimeEncoding.MS_TEXT),
    *(TimeEncoding.ZERO, TimeEncoding.GARBAGE),
)


def columns_added_and_dropped(bucket: str, seed: int) -> list[Step]:
    """Two new properties, one of them not text. Later one of them is archived and disappears."""
    account = Account(seed=seed, bucket=bucket)
    builder = ScenarioBuilder(account)
    builder.step("two tables", account.dump(100, {USERS: full(10), SESSIONS: full(20)}))
    added = (Column("coupon"), Column("basket_size", "long"))
    builder.step("two more columns", account.dump(101, {USERS: more(5), SESSIONS: more(20, add=added)}))
    drop = ("coupon", "app_name")
    builder.step("two columns less", account.dump(102, {USERS: more(5), SESSIONS: more(20, drop=drop)}))
    return builder.step("a full dump without them", account.dump(103, {SESSIONS: full(10)})).steps


def column_changes_type(bucket: str, seed: int) -> list[Step]:
    """`basket_size` is long, then string; `share` is long, then double; `flag` is boolean, then string."""
    account = Account(seed=seed, bucket=bucket)
    builder = ScenarioBuilder(account)
    added = (Column("basket_size", "long"), Column("share", "long"), Column("flag", "boolean"))
    builder.step("numbers", account.dump(100, {SESSIONS: full(20, add=added)}))
    types = {"basket_size": "string", "share": "double", "flag": "string"}
    return builder.step("other types", account.dump(101, {SESSIONS: more(20, retype=types, repeated=0)})).steps


def event_metadata_table(bucket: str, seed: int) -> list[Step]:
    """`_event_metadata` without files, then with rows. It has no `event_id`, so it has no key."""
    account = Account(seed=seed, bucket=bucket)
    builder = ScenarioBuilder(account)
    empty = full(0, files=0)
    builder.step("named, but empty", account.dump(100, {USERS: full(10), EVENT_METADATA: empty}))
    return builder.step("with rows", account.dump(101, {USERS: more(2), EVENT_METADATA: full(8)})).steps


def unusual_names(bucket: str, seed: int) -> list[Step]:
    """Names of tables and columns that begin or end with `_` or a digit, and a table name that begins another one."""
    account = Account(seed=seed, bucket=bucket)
    odd = (Column("coupon_"), Column("_score", "double"), Column("2nd_choice"), Column("renewal_time"))
    names = ("_key_events_pm__order_complete", "checkout_web_", "2024_sale", "sale", "sale_", "_", "users_")
    parts: dict[str, Part] = {name: full(6, add=odd) for name in names}
    return ScenarioBuilder(account).step("odd names", account.dump(100, parts)).steps


def time_encodings(bucket: str, seed: int) -> list[Step]:
    """A dump for each encoding, then one with all text encodings and one with all numbers, including wrong values."""
    account = Account(seed=seed, bucket=bucket)
    builder = ScenarioBuilder(account)
    eras = [(encoding,) for encoding in TimeEncoding]
    numbers = tuple(encoding for encoding in TimeEncoding if encoding.numeric)
    for index, times in enumerate([*eras, _TEXTS, numbers]):
        make = more if index else full
        parts = {
            USERS: make(12, times=times, repeated=0),
            MIGRATIONS: full(1, times=times),
            PAGEVIEWS: make(12, times=times, add=() if index else (Column("session_time"),), repeated=0),
        }
        builder.step(", ".join(times), account.dump(100 + index, parts))
    return builder.steps


def edge_ids(bucket: str, seed: int) -> list[Step]:
    """2**53+1, 2**63-1, -2**63 and other ids that a float or a JavaScript number cannot hold."""
    builder = ScenarioBuilder(Account(seed=seed, bucket=bucket, ids=IdRange.EDGES))
    account = builder.account
    builder.step("users with edge ids", account.dump(100, {USERS: full(30), MIGRATIONS: full(3)}))
    more_edges = Account(seed=seed + 1, bucket=bucket, ids=IdRange.EDGES)
    return builder.step("sessions with edge ids", more_edges.dump(101, {SESSIONS: full(30)})).steps


def columns_differing_by_case(bucket: str, seed: int) -> list[Step]:
    """`productid` and `productId` in one table. Most warehouses treat the two names as one column."""
    account = Account(seed=seed, bucket=bucket)
    twins = (Column("productid"), Column("productId"))
    return ScenarioBuilder(account).step("twins", account.dump(100, {SESSIONS: full(20, add=twins)})).steps


def same_event_in_two_tables(bucket: str, seed: int) -> list[Step]:
    """Two event definitions match the same raw events, so each event is a row in both tables."""
    account = Account(seed=seed, bucket=bucket)
    dump = account.dump(100, {USERS: full(10), "search_submit": full(20)})
    original = dump.tables[1]
    copies = tuple(
        type(file)(file.key.replace("search_submit", "any_submit"), file.columns, file.rows, file.style)
        for file in original.files
    )
    twin = TableDump("any_submit", False, copies)
    return ScenarioBuilder(account).step("the same events twice", Dump(100, (*dump.tables, twin), bucket)).steps


def same_event_id_of_two_users(bucket: str, seed: int) -> list[Step]:
    """Events of two users have the same `event_id`, because ids are random. Only the pair with `user_id` is unique."""
    account = Account(seed=seed, bucket=bucket)
    dump = account.dump(100, {USERS: full(10), "search_submit": full(20, kept=1)})
    rows = dump.tables[1].files[0].rows
    first = rows[0]
    other = next(row for row in rows if row["user_id"] != first["user_id"])
    other["event_id"] = first["event_id"]
    return ScenarioBuilder(account).step("one id, two users", dump).steps


def every_avro_type(bucket: str, seed: int) -> list[Step]:
    """Every primitive, logical and nested type. Real dumps seem to have primitive types only; the format allows all."""
    account = Account(seed=seed, bucket=bucket)
    plain = tuple(Column(f"plain_{name}", name, plain=True) for name in ("long", "double", "boolean", "string"))
    simple = tuple(Column(f"a_{name}", name) for name in ("long", "int", "double", "float", "boolean", "bytes"))
    logical = (
        Column("at_millis", {"type": "long", "logicalType": "timestamp-millis"}),
        Column("at_micros", {"type": "long", "logicalType": "timestamp-micros"}),
        Column("a_date", {"type": "int", "logicalType": "date"}),
        Column("a_decimal", {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}),
        Column("a_uuid", {"type": "string", "logicalType": "uuid"}),
    )
    coordinates = [{"name": "x", "type": "long"}, {"name": "y", "type": "double"}]
    nested = (
        Column("an_array", {"type": "array", "items": ["null", "string"]}),
        Column("a_map", {"type": "map", "values": "long"}),
        Column("a_record", {"type": "record", "name": "point", "fields": coordinates}),
        Column("an_enum", {"type": "enum", "name": "color", "symbols": ["RED", "GREEN"]}),
        Column("a_fixed", {"type": "fixed", "name": "four", "size": 4}),
    )
    keys = (Column("event_id", "long"), Column("user_id", "long"))
    columns = (*keys, *plain, *simple, *logical, *nested, Column("time"))
    part = full(60, files=2, columns=columns)
    return ScenarioBuilder(account).step("every type", account.dump(100, {"typed_event": part})).steps


SCENARIOS: tuple[Scenario, ...] = (
    *(columns_added_and_dropped, column_changes_type, event_metadata_table, unusual_names, time_encodings, edge_ids),
    *(columns_differing_by_case, same_event_in_two_tables, same_event_id_of_two_users, every_avro_type),
)
