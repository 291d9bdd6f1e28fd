"""What Spark gets in place of a stream's reader that could not be made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from pyspark.sql.datasource import DataSourceStreamReader, InputPartition


class FailedStreamReader(DataSourceStreamReader):
    """Raises the failure as soon as Spark asks for anything.

    Where `streamReader` itself raises, Spark shows an UnboundLocalError of its own as the last line (read in the
    sources of pyspark 4.0.5 and 4.3.0, tried with 4.0.5).
    """

    def __init__(self, failure: Exception) -> None:
        self._failure = failure

    def initialOffset(self) -> NoReturn:
        raise self._failure

    def latestOffset(self, start: dict[str, Any] | None = None, limit: Any = None) -> NoReturn:
        raise self._failure

    def partitions(self, start: dict[str, Any], end: dict[str, Any]) -> Sequence[InputPartition]:
        raise self._failure

    def read(self, partition: InputPartition) -> Iterator[tuple[Any, ...]]:
        raise self._failure
