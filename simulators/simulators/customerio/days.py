"""Lets days pass: what one day adds to a workspace and changes in it.

Each day depends on the seed and its number alone. So the same workspace a day later keeps what it had, except what this
day changed. All of it is invented.
"""

from __future__ import annotations

from random import Random

from simulators.customerio import build_deliveries, build_people
from simulators.customerio.mutations import edit, edit_action
from simulators.customerio.senders import Senders
from simulators.customerio.workspace import DAY, HISTORY, Workspace
from simulators.server import Row

_YOUNG = 7 * DAY
"""Deliveries up to this age are opened and clicked."""
_NEW_PEOPLE = 2
_CHANGED_PEOPLE = 3
_WEEKEND = 0.4


def pass_days(workspace: Workspace, days: int) -> None:
    """Move the clock by whole days, one at a time, with what happens on each."""
    for number in range(1, days + 1):
        workspace.now += DAY
        _Day(workspace, number).happen()


class _Day:
    """One day, which ends now."""

    def __init__(self, workspace: Workspace, number: int) -> None:
        self._workspace = workspace
        self._number = number
        self._rng = Random(f"{workspace.seed}/later/{number}")

    def happen(self) -> None:
        self._open_and_click()
        self._deliver()
        self._people()
        self._act()
        self._edit()
        self._workspace.sort_activities()

    def _moment(self) -> int:
        return self._workspace.now - self._rng.randrange(DAY)

    def _open_and_click(self) -> None:
        """Deliveries of the last days get opens and clicks, and those that were under way arrive."""
        workspace, rng = self._workspace, self._rng
        oldest = workspace.now - DAY - _YOUNG

        def change(row: Row) -> bool:
            metrics = row["metrics"]
            if row["created"] < oldest or "failed" in metrics or "clicked" in metrics:
                return False
            return build_deliveries.react(workspace, rng, row, self._moment())

        workspace.deliveries.update(change)

    def _deliver(self) -> None:
        workspace, rng = self._workspace, self._rng
        senders, weekend = Senders(workspace), build_deliveries.is_weekend(workspace.now - DAY // 2)
        usual = max(6, workspace.size.deliveries * DAY // HISTORY)
        people = list(workspace.people.values())
        for _ in range(round(usual * rng.uniform(0.8, 1.2) * (_WEEKEND if weekend else 1))):
            index = len(workspace.deliveries)
            person = rng.choice(people)
            workspace.deliveries.add(build_deliveries.delivery(workspace, rng, index, self._moment(), person, senders))

    def _people(self) -> None:
        """People sign up and are members of the first segment. Others take another plan."""
        workspace, rng = self._workspace, self._rng
        known = list(workspace.people.values())
        for _ in range(_NEW_PEOPLE):
            index, moment = len(workspace.people), self._moment()
            person = build_people.person(workspace, rng, index, moment)
            cio_id = person["identifiers"]["cio_id"]
            workspace.people[cio_id] = person
            workspace.members[1].append(cio_id)
            workspace.activities.append(build_deliveries.activity(rng, "profile_create", moment, person))
        for person in rng.sample(known, _CHANGED_PEOPLE):
            moment = self._moment()
            person["attributes"]["plan"] = "pro" if person["attributes"]["plan"] == "free" else "free"
            person["timestamps"]["plan"] = moment
            workspace.activities.append(build_deliveries.activity(rng, "attribute_change", moment, person))

    def _act(self) -> None:
        workspace, rng = self._workspace, self._rng
        people = list(workspace.people.values())
        for _ in range(max(3, workspace.size.activities * DAY // build_deliveries.ACTIVE)):
            kind = rng.choice(build_deliveries.DAILY_ACTIVITIES)
            workspace.activities.append(build_deliveries.activity(rng, kind, self._moment(), rng.choice(people)))
        row = {
            "email": f"late.{self._number:05}@example.net",
            "reason": "550 5.1.0 mailbox unavailable",
            "status": "550",
        }
        for domain in ("", build_people.MAIN_DOMAIN):
            rows = workspace.suppressions["bounces", domain]
            if not any(known["email"] == row["email"] for known in rows):  # the two domains may share one list
                rows.append({"created": self._moment(), **row})

    def _edit(self) -> None:
        """A campaign, an action of another one, and a draft newsletter that is sent or a sent one that is edited."""
        workspace, rng = self._workspace, self._rng
        campaigns = sorted(workspace.lists["campaigns"], key=lambda row: int(row["id"]))
        edited, other = rng.sample(campaigns, 2)
        name = edited["name"].partition(" (v")[0]
        edit(
            workspace,
            rng,
            "campaigns",
            edited["id"],
            {"name": f"{name} (v{self._number + 1})", "updated": self._moment()},
        )
        action = workspace.children["campaign_actions"][other["id"]][0]
        edit_action(workspace, rng, other["id"], 0, {"name": action["name"], "updated": self._moment()})
        drafts = [row for row in workspace.lists["newsletters"] if not row["sent_at"]]
        if drafts:
            moment = self._moment()
            edit(workspace, rng, "newsletters", drafts[0]["id"], {"sent_at": moment, "updated": moment})
        edit(workspace, rng, "snippets", "snippet 0", {"updated_at": self._moment()})
