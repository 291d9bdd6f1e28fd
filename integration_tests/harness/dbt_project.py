"""The dbt package on tables that the connectors read, in the shape in which Airbyte's destinations leave them."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
from harness.runner import Runner
from harness.suite import ROOT
from test_kit.catalogs import configured
from test_kit.messages import Output
from test_kit.warehouse import Warehouse

PROJECT = ROOT / "dbt"
BIN = ROOT / "integration_tests" / "clients" / "dbt" / ".venv" / "bin"


@dataclass(frozen=True)
class Done:
    """A command of dbt: exit code, what it printed, and the JSON files that it left, by name."""

    code: int
    printed: str
    files: Mapping[str, Any]

    def statuses(self, name: str = "run_results") -> dict[str, str]:
        """How each node ended, by its id."""
        return {result["unique_id"]: result["status"] for result in self.files[name]["results"]}


@dataclass(frozen=True)
class Project:
    """The package on one DuckDB file."""

    database: Path
    outputs: Mapping[str, Output]
    """What each connector wrote, by its vendor."""
    folder: Path

    def run(self, line: str) -> Done:
        """A command of dbt as a user types it, in the root of the repository. Its warnings are errors."""
        variables = {
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "PRODUCT_ANALYTICS_DUCKDB": str(self.database),
            "DBT_TARGET_PATH": str(self.folder / "target"),
            "DBT_LOG_PATH": str(self.folder / "logs"),
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
            "DBT_WARN_ERROR": "true",
            "DBT_USE_COLORS": "false",
        }
        done = subprocess.run(
            shlex.split(line), capture_output=True, text=True, check=False, cwd=ROOT, env={**os.environ, **variables}
        )
        files = {path.stem: json.loads(path.read_bytes()) for path in (self.folder / "target").glob("*.json")}
        return Done(done.returncode, done.stdout + done.stderr, files)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """The answer to a query."""
        with duckdb.connect(str(self.database), read_only=True) as warehouse:
            warehouse.execute("set TimeZone = 'UTC'")
            return warehouse.execute(sql).fetchall()

    def change(self, *statements: str) -> None:
        """Runs statements."""
        with duckdb.connect(str(self.database)) as warehouse:
            for statement in statements:
                warehouse.execute(statement)

    @cached_property
    def tables(self) -> list[str]:
        """The connectors' tables, with their schema."""
        found = self.rows("select schema_name || '.\"' || table_name || '\"' from duckdb_tables() order by all")
        return [name for (name,) in found if not name.endswith('."_state"')]


def load(database: Path, runner: Runner) -> Output:
    """Reads everything that a connector has into the schema of its vendor."""
    output = runner.read().succeeded()
    warehouse = Warehouse(database, runner.connector.vendor)
    warehouse.begin(configured(runner.catalog))
    list(warehouse.load(output.stdout.splitlines()))
    warehouse.close()
    return output
