"""A bucket as the store of an inlet."""

from __future__ import annotations

from typing import Any

from s3_servers import MotoServer


def bucket_store(server: MotoServer, bucket: str, endpoint: str | None = None) -> dict[str, Any]:
    """The part `store` of a configuration."""
    return {
        "type": "bucket",
        "bucket": bucket,
        "prefix": "hooks/",
        "region": "us-east-1",
        "endpoint_url": endpoint or server.endpoint,
        "credentials": {
            "auth_type": "keys",
            "aws_access_key_id": server.admin.access_key,
            "aws_secret_access_key": server.admin.secret_key,
        },
    }
