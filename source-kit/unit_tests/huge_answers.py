"""A toy source over HTTP, as a program: one stream for each name. It writes its peak memory to stderr."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from airbyte_cdk.models import ConnectorSpecification
from airbyte_cdk.sources.streams import Stream
from source_kit.cli import launch
from source_kit.convert import RecordMapper, snake_case
from source_kit.errors import ErrorTable
from source_kit.http.client import Client, Connection
from source_kit.http.stream import BatchHttpStream
from source_kit.options import Options, text, texts, whole
from source_kit.source import Source
from source_kit.stream import SliceItem


class Rows(BatchHttpStream):
    """The rows of `/<name>`, renamed; a stream whose name begins with `document` reads it as a whole."""

    primary_key = "id"

    def __init__(self, name: str, url_base: str) -> None:
        self._name = name
        super().__init__(Client(name, Connection(url_base, {}, connections=4), ErrorTable("Acme", ())))

    @property
    def name(self) -> str:
        return self._name

    def probe(self) -> None:
        self.client.call(f"/{self.name}").close()

    def slices(self) -> list[str]:
        return [f"/{self.name}"]

    def read_slice(self, slice_: str) -> Iterator[SliceItem]:
        answer = self.client.call(slice_)
        mapper = RecordMapper(snake_case)
        if self.name.startswith("document"):
            yield [answer.json()]
            return
        for rows in answer.rows("results"):
            yield mapper(rows)


@dataclass(frozen=True, kw_only=True)
class Where(Options):
    """The server at `url`, and the names of the streams."""

    url: str = text(required=True)
    names: tuple[str, ...] = texts("names", check=bool)
    workers: int = whole(1, 100, default=1)


class HugeSource(Source[Where]):
    """Streams by their names in `names`, from the server at `url`."""

    options = Where

    def all_streams(self, config: Where) -> list[Stream]:
        return [Rows(name, config.url) for name in config.names]

    def workers(self, config: Where) -> int:
        return config.workers

    def probe(self, logger: logging.Logger, config: Where) -> None:
        pass

    def spec(self, logger: logging.Logger) -> ConnectorSpecification:
        return ConnectorSpecification(connectionSpecification={"type": "object", "properties": {}})


if __name__ == "__main__":
    code = launch(HugeSource, sys.argv[1:])
    status = Path("/proc/self/status").read_text(encoding="utf-8").split()
    sys.stderr.write(f"peak {status[status.index('VmHWM:') + 1]}\n")
    sys.exit(code)
