"""The flat lists: configuration of a workspace, exports, senders and IP addresses."""

from __future__ import annotations

from simulators.customerio.workspace import DAY, Workspace

WEBHOOK_WITH_CREDENTIALS = "https://u:p@hooks.example.com/x?y=a@b"


def build(workspace: Workspace) -> None:
    """Fill everything that needs no random numbers."""
    _content_and_topics(workspace)
    _sending_and_exports(workspace)


def _content_and_topics(workspace: Workspace) -> None:
    then, lists = workspace.start, workspace.lists
    lists["snippets"] = [
        {"name": f"snippet {index}", "value": f"<b>{index}</b>", "updated_at": then + index * 40 * DAY}
        for index in range(4)
    ]
    lists["collections"] = [
        {
            "id": 1,
            "name": "prices",
            "schema": ["sku", "price"],
            "rows": 2,
            "bytes": 48,
            "created_at": then,
            "updated_at": then,
        },
        {"id": 2, "name": "empty", "schema": None, "rows": 0, "bytes": 0, "created_at": then, "updated_at": then + DAY},
    ]
    # The list has every workspace of the account, although the key belongs to one of them.
    lists["workspaces"] = [
        _workspace(144601, "Production", len(workspace.people), 1),
        _workspace(144602, "Staging", 3, 0),
    ]
    lists["topics"] = [
        {
            "id": index,
            "identifier": f"topic_{index}",
            "name": f"Topic {index}",
            "description": "",
            "subscribed_by_default": index == 1,
        }
        for index in (1, 2)
    ]
    lists["types"] = [
        {
            "id": "1",
            "enabled": True,
            "icon": "building",
            "name": "Companies",
            "singular_name": "Company",
            "slug": "companies",
            "singular_slug": "company",
        }
    ]


def _sending_and_exports(workspace: Workspace) -> None:
    then, now, lists = workspace.start, workspace.now, workspace.lists
    lists["subscription_channels"] = [
        {"id": 1, "name": "E-mail", "description": "", "type": "email", "subscribed_by_default": True},
        {"id": 2, "name": "SMS", "description": None, "type": "sms", "subscribed_by_default": False},
    ]
    lists["reporting_webhooks"] = [
        _webhook(1, WEBHOOK_WITH_CREDENTIALS, ["email_sent", "email_opened"]),
        _webhook(2, "HTTPS://token@HOOKS.example.com:8443/in/a@b", []) | {"type": "js"},
        _webhook(3, "https://hooks.example.com/plain?mail=a@b", None),
    ]
    lists["sender_identities"] = [_sender(number) for number in range(1, workspace.size.newsletters + 1)]
    workspace.sender_usage = {
        number: {
            # Every fourth sender is used by nothing.
            "campaigns": [4, 7] if number % 4 else [],
            "sent_newsletters": [number] if number % 4 else [],
            "draft_newsletters": [],
        }
        for number in range(1, workspace.size.newsletters + 1)
    }
    lists["exports"] = [
        _export(1, "done", then, 120, 1),
        _export(2, "failed", then + 100 * DAY, 0, 0),
        _export(3, "pending", now - 60, 0, 0),
    ]
    workspace.ip_addresses = ["192.0.2.1", "192.0.2.2", "198.51.100.7"]


def _workspace(number: int, name: str, people: int, object_types: int) -> dict[str, object]:
    return {
        "id": number,
        "name": name,
        "messages_sent": people * 3,
        "billable_messages_sent": people * 2,
        "people": people,
        "object_types": object_types,
        "objects": 0,
    }


def _webhook(number: int, endpoint: str, events: list[str] | None) -> dict[str, object]:
    return {
        "id": number,
        "name": f"Hook {number}",
        "type": "webhook",
        "endpoint": endpoint,
        "events": events,
        "disabled": False,
        "full_resolution": True,
        "with_content": False,
    }


def _sender(number: int) -> dict[str, object]:
    by_phone = number % 5 == 0
    email = None if by_phone else f"sender{number}@example.com"
    return {
        "id": number,
        "deduplicate_id": f"{number}:{1_600_000_000 + number}",
        "name": f"Sender {number}",
        "email": email,
        "address": None if by_phone else f"Sender {number} <{email}>",
        "phone": "+15550100" if by_phone else None,
        "template_type": "phone" if by_phone else "email",
        "auto_generated": number == 1,
        "hidden": number % 3 == 0,
    }


def _export(number: int, status: str, created: int, total: int, downloads: int) -> dict[str, object]:
    updated = created + (90 if status == "done" else 0)
    return {
        "id": number,
        "deduplicate_id": f"{number}:{updated}",
        "type": "deliveries" if number == 2 else "customers",
        "status": status,
        "failed": status == "failed",
        "description": f"Export {number}",
        "total": total,
        "downloads": downloads,
        "user_id": 7,
        "user_email": "ada@example.com",
        "created_at": created,
        "updated_at": updated,
    }
