"""The truth about what was posted: for each event its ids, its bytes by hash, every post, and when it was accepted."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import orjson

from simulators.server import Row
from simulators.webhooks.connection import Outcome, is_accepted


@dataclass(slots=True)
class Post:
    """One post: when it began (epoch seconds), its answer or failure, its seconds, the hash of its body."""

    at: float
    answer: int | str
    seconds: float
    sha256: str


@dataclass(slots=True)
class Entry:
    """One body that is to be delivered. An array has several ids."""

    webhook: int
    ids: tuple[str | None, ...]
    kind: str
    posts: list[Post] = field(default_factory=list)
    accepted_at: float | None = None
    dropped: bool = False

    def add(self, began: float, body: bytes, outcome: Outcome) -> None:
        """Notes a post that began at `began` (time.time)."""
        digest = hashlib.sha256(body).hexdigest()
        self.posts.append(Post(began, outcome.answer, outcome.seconds, digest))
        if outcome.accepted and self.accepted_at is None:
            self.accepted_at = began + outcome.seconds

    @property
    def acknowledged(self) -> set[str]:
        """The hashes of the bodies that the receiver answered with 2xx."""
        return {post.sha256 for post in self.posts if is_accepted(post.answer)}

    def as_row(self) -> Row:
        """As it stands in the file; `sha256` is that of the first post, and of others only where they differ."""
        first = self.posts[0].sha256 if self.posts else None
        posts = [
            {"at": post.at, "answer": post.answer, "seconds": round(post.seconds, 6)}
            | ({"sha256": post.sha256} if post.sha256 != first else {})
            for post in self.posts
        ]
        return {
            "webhook": self.webhook,
            "ids": self.ids,
            "kind": self.kind,
            "sha256": first,
            "posts": posts,
            "accepted_at": self.accepted_at,
            "dropped": self.dropped,
        }

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Back from a line of the file."""
        posts = [
            Post(post["at"], post["answer"], post["seconds"], post.get("sha256", row["sha256"]))
            for post in row["posts"]
        ]
        return cls(row["webhook"], tuple(row["ids"]), row["kind"], posts, row["accepted_at"], row["dropped"])


class Ledger:
    """Counts of all posts, and the entries: in memory (`keep`), or in a file, a line when an entry is finished."""

    def __init__(self, path: Path | None = None, *, keep: bool = True) -> None:
        self.entries: list[Entry] = []
        self.answers: Counter[int | str] = Counter()
        self.seconds: list[float] = []
        """Of the newest 100,000 answered posts."""
        self.events = self.accepted = self.dropped = self.posts = 0
        self._keep = keep
        self._file: IO[bytes] | None = path.open("ab") if path else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def begin(self, webhook: int, ids: tuple[str | None, ...], kind: str) -> Entry:
        """A new entry."""
        entry = Entry(webhook, ids, kind)
        self.events += 1
        if self._keep:
            self.entries.append(entry)
        return entry

    def note(self, entry: Entry, began: float, body: bytes, outcome: Outcome) -> None:
        """A post of an entry has ended."""
        first = outcome.accepted and entry.accepted_at is None
        entry.add(began, body, outcome)
        self.posts += 1
        self.accepted += first
        self.answers[outcome.answer] += 1
        if isinstance(outcome.answer, int):
            self.seconds.append(outcome.seconds)
            if len(self.seconds) > 200_000:
                del self.seconds[:100_000]

    def finish(self, entry: Entry) -> None:
        """Nothing more is posted for an entry."""
        self.dropped += entry.dropped
        if self._file is not None:
            self._file.write(orjson.dumps(entry.as_row(), option=orjson.OPT_APPEND_NEWLINE))
            self._file.flush()

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            self._file.close()

    def summary(self) -> str:
        """One line for people."""
        answers = " ".join(f"{answer}={count}" for answer, count in sorted(self.answers.items(), key=str))
        return (
            f"webhooks: {self.events} bodies, {self.posts} posts, {self.accepted} accepted, {self.dropped} dropped; "
            f"answers {answers or 'none'}; p50 {1000 * quantile(self.seconds, 0.5):.1f} ms, "
            f"p99 {1000 * quantile(self.seconds, 0.99):.1f} ms, slowest {1000 * max(self.seconds, default=0):.1f} ms"
        )


def read(path: Path) -> Iterator[Entry]:
    """The entries of a file."""
    with path.open("rb") as file:
        for line in file:
            yield Entry.from_row(orjson.loads(line))


def quantile(values: list[float], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed; 0 without values."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0
