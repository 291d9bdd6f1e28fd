"""A toy source over HTTP, as a program: one stream for each path that it is given, its peak memory in stderr."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from airbyte_cdk.models import ConnectorSpecification
from airbyte_cdk.sources.streams import Stream
from source_kit.cli import launch
from source_kit.convert import RecordMapper, snake_case
from source_kit.errors import ErrorTable
from source_kit.http.body import session
from source_kit.http.client import BatchHttpStream
from source_kit.source import BatchSource
from source_kit.stream import SliceItem


class Rows(BatchHttpStream):
    """The rows of `/<name>`, renamed; a stream whose name begins with `document` reads it as a whole."""

    primary_key = "id"
    error_table = ErrorTable("Acme", ())

    def __init__(self, name: str, url_base: str) -> None:
        self._name = name
        self._url = url_base
        super().__init__(session(4))

    @property
    def name(self) -> str:
        return self._name

    @property
    def url_base(self) -> str:
        return self._url

    def slices(self) -> list[str]:
        return [f"/{self.name}"]

    def read_slice(self, slice_: str) -> Iterator[SliceItem]:
        answer = self.call(slice_)
        shape = RecordMapper(snake_case)
        if self.name.startswith("document"):
            yield [answer.json()]
            return
        for rows in answer.rows("results"):
            yield shape(rows)


class HugeSource(BatchSource):
    """Streams by their names in `names`, from the server at `url`."""

    def streams(self, config: Mapping[str, Any]) -> list[Stream]:
        return [Rows(name, config["url"]) for name in config["names"]]

    def workers(self, config: Mapping[str, Any]) -> int:
        return int(config["workers"])

    def check_connection(self, logger: logging.Logger, config: Mapping[str, Any]) -> tuple[bool, Any]:
        return True, None

    def spec(self, logger: logging.Logger) -> ConnectorSpecification:
        return ConnectorSpecification(connectionSpecification={"type": "object", "properties": {}})


if __name__ == "__main__":
    code = launch(HugeSource, sys.argv[1:])
    status = Path("/proc/self/status").read_text(encoding="utf-8").split()
    sys.stderr.write(f"peak {status[status.index('VmHWM:') + 1]}\n")
    sys.exit(code)
