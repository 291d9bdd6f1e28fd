"""What all streams share: their client, the reading of their states, the count of rows without a cursor."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Final

from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from source_kit.convert import epoch_millis, parse_instant
from source_kit.errors import config_error
from source_kit.http.client import Connection
from source_kit.http.stream import BatchHttpStream
from source_kit.stream import Checkpoint, SliceItem, StreamDocs

from source_pendo.aggregation import Row, Stage
from source_pendo.client import REFUSALS, Forbidden, PendoClient
from source_pendo.config import Config
from source_pendo.paging import KeyPager, fits_a_state

#: Format of the states that this release writes; a state without a version is of this one.
STATE_VERSION: Final = 1


class PendoStream(BatchHttpStream):
    """Base of the streams. `connection` is shared by all streams of one sync."""

    docs = StreamDocs(permission="read access (any integration key)")
    #: Pendo documents the stream, and it was never read from a live subscription. It is not in the catalog where its
    #: probe is refused, and never in the suggested streams.
    documented_only: ClassVar[bool] = False
    client: PendoClient
    #: Rows of this sync without a time of change
    ageless: int = 0

    def __init__(self, config: Config, connection: Connection) -> None:
        super().__init__(PendoClient(self.name, connection, config.request_timeout))
        self.config = config

    def is_lacking(self, error: AirbyteTracedException) -> bool:
        """Whether the error of a probe takes the stream out of the catalog, until a later discovery."""
        return isinstance(error, REFUSALS if self.documented_only else Forbidden)

    def of_wanted_app(self, row: Mapping[str, Any]) -> bool:
        """Whether an object belongs to one of the chosen applications, or to none."""
        wanted = self.config.app_ids
        apps = self.apps_of(row)
        return not wanted or not apps or any(str(app).removesuffix(".0") in wanted for app in apps)

    def apps_of(self, row: Mapping[str, Any]) -> list[Any]:
        """The applications that an object names: numbers, or texts of them; floats where an aggregation computed."""
        one, several = row.get("appId"), row.get("appIds")
        return [*(several if isinstance(several, list) else []), *([] if one is None else [one])]

    def by_key(
        self,
        source: Stage,
        pager: KeyPager,
        records: Callable[[list[Row]], list[Row]],
        *,
        restart: Callable[[], None],
        resume_at: Callable[[str], dict[str, Any]],
    ) -> Iterator[SliceItem]:
        """All rows of a source in order of their key, with a checkpoint behind each page whose key fits into a state.

        `resume_at` makes the member `resume` of that state. `restart` is called if the key at which `pager` begins is
        not one of this subscription, so that everything is read anew.
        """
        saved = pager.bound
        for rows in self.client.resumed_rows("everything", source, pager, restart=restart):
            yield records(rows)
            if pager.bound is not None and pager.bound is not saved and fits_a_state(pager.bound.key):
                saved = pager.bound
                resume = resume_at(saved.key)
                yield Checkpoint({self.cursor_field: None, "resume": resume, "version": STATE_VERSION})

    def merge_state(self, state: Mapping[str, Any], update: Mapping[str, Any]) -> dict[str, Any]:
        """An update is a whole state: no member must outlive the reading, or the option, that it belongs to."""
        return dict(update)

    def finish(self) -> None:
        """Log how many rows have no time of change."""
        if self.ageless:
            self.logger.warning(
                f"Stream {self.name}: {self.ageless} rows have no {self.cursor_field}. They are emitted at every "
                "sync and do not move the state."
            )

    def cursor_millis(self, state: Mapping[str, Any], *members: str) -> int | None:
        """The cursor of a state as epoch milliseconds; None if the state has none.

        `members` are those beside cursor and version. Raises a config_error for a state that no release of this stream
        wrote, e.g. another stream's: taken for an empty state it would start the stream anew.
        """
        if not set(state) <= {self.cursor_field, "version", *members}:
            raise self.unreadable_state()
        version = state.get("version", STATE_VERSION)
        value = state.get(self.cursor_field)
        if version == STATE_VERSION and value is None:
            return None
        if version == STATE_VERSION and isinstance(value, str):
            try:
                return epoch_millis(parse_instant(value))
            except (ValueError, OverflowError):
                pass
        raise self.unreadable_state()

    def resume_of(self, state: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """What a state says about an interrupted reading; None if it says nothing."""
        resume = state.get("resume")
        if resume is not None and not isinstance(resume, dict):
            raise self.unreadable_state()
        return resume

    def unreadable_state(self) -> AirbyteTracedException:
        """The error for a state that cannot be read."""
        return config_error(
            f"The state of stream {self.name} cannot be read: it must be like "
            f'{{"{self.cursor_field}": "2026-03-01T00:00:00.000Z", "version": {STATE_VERSION}}}. Correct it, update '
            "the connector if a newer release wrote it, or reset the stream to read it anew."
        )
