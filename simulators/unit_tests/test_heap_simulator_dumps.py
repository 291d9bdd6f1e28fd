"""The dumps, scenarios and reference model of the Heap simulator."""

import io
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import cramjam
import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulators.heap.account import Account, Part, full, more
from simulators.heap.avro_files import Codec, blocks, container_block, container_header
from simulators.heap.demo import Size, demo_dumps
from simulators.heap.layout import DataFile, Dump, TableDump
from simulators.heap.replay import LiveTable, replay
from simulators.heap.scenarios import SCENARIOS, random_history, scenario
from simulators.heap.stores import FolderStore


class Memory:
    """A store that keeps objects in a dictionary."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def put(self, objects: Any) -> int:
        """Keep them."""
        self.objects.update({item.key: item.data for item in objects})
        return len(self.objects)

    def delete(self, keys: Any) -> None:
        """Drop them."""
        for key in keys:
            del self.objects[key]


def _read_file(data: bytes) -> list[dict[str, Any]]:
    """The rows of a file. fastavro has no zstandard here, so such a file is rewritten without compression first."""
    reader = fastavro.reader(io.BytesIO(data)) if b"zstandard" not in data[:200] else None
    if reader is not None:
        return [dict(row) for row in reader]
    schema, _ = json.JSONDecoder().raw_decode(data[data.index(b'{"type"') :].decode("latin-1"))
    header = container_header(schema, Codec.NULL, bytes(16))
    body = (
        container_block(block.count, bytes(cramjam.zstd.decompress(block.payload)), Codec.NULL, bytes(16))
        for block in blocks(data)
    )
    return [dict(row) for row in fastavro.reader(io.BytesIO(header + b"".join(body)))]


def _read_bucket(objects: dict[str, bytes]) -> dict[str, list[dict[str, Any]]]:
    """The live rows, read from the stored bytes only: for each table the dumps since its last full one."""
    manifests = {}
    for key, data in objects.items():
        name = key.removeprefix("manifests/sync_").removesuffix(".json")
        if key == f"manifests/sync_{name}.json" and name.isdigit():
            manifests[int(name)] = json.loads(data)
    tables: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    for dump_id in sorted(manifests):
        for table in manifests[dump_id]["tables"]:
            tables.setdefault(table["name"], []).append((dump_id, table))
    live = {}
    for name, entries in tables.items():
        base = max((dump_id for dump_id, entry in entries if not entry["incremental"]), default=0)
        uris = [uri for dump_id, entry in entries if dump_id >= base for uri in entry["files"]]
        live[name] = [row for uri in uris for row in _read_file(objects[uri.split("/", 3)[3]])]
    return live


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_the_stored_bytes_of_a_scenario_hold_its_live_rows_after_every_step(name: str) -> None:
    store = Memory()
    for step in scenario(name):
        step.apply(store)
        if not step.fails:
            live = {table: [row.values for row in rows.rows] for table, rows in step.live.items()}
            assert _read_bucket(store.objects) == live, step.note


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_a_scenario_is_the_same_at_every_call_and_another_for_another_seed(name: str) -> None:
    first, again, other = (scenario(name, seed=seed) for seed in (1, 1, 2))

    assert [step.put for step in first] == [step.put for step in again]
    assert [step.put for step in first] != [step.put for step in other]


@pytest.mark.slow
def test_a_scenario_is_the_same_in_another_process() -> None:
    program = (
        "import hashlib; from simulators.heap.scenarios import scenario;"
        "print(hashlib.sha256(repr([step.put for step in scenario('edge_ids')]).encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", program], check=True, capture_output=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


@pytest.mark.slow
def test_the_last_step_repairs_every_trouble() -> None:
    histories = {name: scenario(name) for name in SCENARIOS}
    troubled = {name: steps for name, steps in histories.items() if any(step.fails for step in steps)}

    assert len(troubled) >= 8
    assert all(not steps[-1].fails for steps in troubled.values())


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**9))
def test_replay_equals_the_rule_of_the_last_full_dump(seed: int) -> None:
    for step in random_history(seed):
        for name, table in step.live.items():
            mine = [(dump.id, one) for dump in step.dumps for one in dump.tables if one.name == name]
            base = max((dump_id for dump_id, one in mine if not one.incremental), default=mine[0][0])
            assert table.generation == base
            assert [row.values for row in table.rows] == [
                row for dump_id, one in mine if dump_id >= base for row in one.rows
            ]


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**9), st.randoms(use_true_random=False))
def test_replay_does_not_depend_on_the_order_in_which_dumps_are_found(seed: int, rng: Any) -> None:
    dumps = list(random_history(seed, steps=3)[-1].dumps)
    expected = replay(dumps)
    rng.shuffle(dumps)

    assert replay(dumps) == expected


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**9))
def test_the_latest_rows_have_one_row_a_key_and_it_came_last(seed: int) -> None:
    for name, table in random_history(seed)[-1].live.items():
        key = {"users": "user_id", "user_migrations": "from_user_id"}.get(name, "event_id")
        latest = table.latest()
        values = {row[key]: row for row in table.emitted()}

        assert Counter(row[key] for row in latest) == Counter(values.keys())
        assert {row[key]: row for row in latest} == values


def test_a_table_that_is_absent_stays_and_an_empty_full_dump_clears_it() -> None:
    file = DataFile("sync_1/a/x.avro", (), ({"event_id": 1},))
    dumps = [Dump(1, (TableDump("a", True, (file,)),)), Dump(2, ()), Dump(3, (TableDump("a", False),))]

    assert [row.values for row in replay(dumps[:2])["a"].rows] == [{"event_id": 1}]
    assert replay(dumps)["a"] == LiveTable("a", 3)


def test_a_repeated_row_has_its_old_key_and_later_values() -> None:
    account = Account(seed=3)
    dumps = [account.dump(1, {"users": full(100)}), account.dump(2, {"users": more(10, repeated=2.0)})]
    before = {row["user_id"]: row["last_modified"] for row in dumps[0].tables[0].rows}
    again = [row for row in dumps[1].tables[0].rows if row["user_id"] in before]

    assert len(again) == 20
    assert all(row["last_modified"] > before[row["user_id"]] for row in again)


def test_merged_users_are_exported_in_full_by_every_dump() -> None:
    account = Account(migrated=0.1)
    dumps = [account.dump(number, {"users": more(50), "user_migrations": full(3)}) for number in range(1, 5)]
    merges = [{row["from_user_id"] for row in dump.tables[1].rows} for dump in dumps]

    assert [len(one) for one in merges] == [3, 6, 9, 12]
    assert merges[0] < merges[1] < merges[2] < merges[3]


def test_a_manifest_names_its_files_by_full_addresses() -> None:
    dump = Account(bucket="csq-rs3-acme").dump(7, {"sessions": Part(rows=4, files=2)})
    table = dump.manifest()["tables"][0]

    assert [uri.split("/", 3)[:3] for uri in table["files"]] == [["s3:", "", "csq-rs3-acme"]] * 2
    assert {uri.split("/", 3)[3] for uri in table["files"]} == {file.key for file in dump.files()}
    assert table["columns"][0] == "event_id"
    assert table["columns"][-1] == "time"


@pytest.mark.slow
def test_the_command_line_writes_the_same_bucket_in_one_go_and_dump_by_dump(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "simulators", "heap", "--size", "tiny", "--out"]
    for arguments in (
        [tmp_path / "a", "--truth", tmp_path / "truth"],
        [tmp_path / "b", "--dumps", "1"],
        [tmp_path / "b"],
    ):
        done = subprocess.run([*command, *map(str, arguments)], check=True, capture_output=True, text=True)
        assert "live rows" in done.stdout

    files = [path.relative_to(tmp_path / "a") for path in sorted((tmp_path / "a").rglob("*")) if path.is_file()]
    assert all((tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes() for file in files)
    live = replay(demo_dumps(Size.TINY))
    assert {path.stem: len(json.loads(path.read_text())) for path in (tmp_path / "truth").iterdir()} == {
        name: len(table.rows) for name, table in live.items()
    }


def test_the_command_line_leaves_a_folder_of_other_files_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    command = [sys.executable, "-m", "simulators", "heap", "--size", "tiny", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)

    assert done.returncode != 0
    assert "holds other files" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_folder_store_drops_what_a_step_deletes(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    steps = scenario("redelivered_manifest")
    for step in steps:
        step.apply(store)

    stored = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.avro")}
    assert stored == {file.key for dump in steps[-1].dumps for file in dump.files()}
