"""The private hooks into botocore fit the installed version."""

from __future__ import annotations

import io

import pytest
from botocore.credentials import Credentials
from botocore.response import StreamingBody
from botocore.session import get_session
from source_kit.s3.boto import raw_body, refuse_mfa_prompts
from source_kit.s3.credential_errors import MfaCodeNeeded
from source_kit.s3.options import BucketAccess, RoleCredentials
from source_kit.s3.session import AssumedRole
from urllib3 import HTTPResponse


def test_the_response_behind_a_body_returns_what_has_arrived() -> None:
    response = HTTPResponse(io.BytesIO(b"0123456789"), preload_content=False)
    body = raw_body({"Body": StreamingBody(response, 10)})
    assert body is response
    assert body.read1(4) == b"0123"


def test_a_prompt_for_an_mfa_code_raises() -> None:
    core = get_session()
    provider = core.get_component("credential_provider").get_provider("assume-role")
    assert callable(provider._prompter)
    refuse_mfa_prompts(core)
    with pytest.raises(MfaCodeNeeded):
        provider._prompter("Enter MFA code: ")


def test_the_credentials_of_a_session_come_from_its_component(monkeypatch: pytest.MonkeyPatch) -> None:
    given = Credentials("AKIAROLE", "secret", "token")
    monkeypatch.setattr(AssumedRole, "load_credentials", lambda role: given)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAENVIRONMENT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "other")
    role = {"auth_type": "role", "role_arn": "arn:aws:iam::123456789012:role/bucket-reader", "external_id": "x"}
    config = BucketAccess.parse({"bucket": "acme", "credentials": role})
    assert isinstance(config.credentials, RoleCredentials)
    core = get_session()
    core.register_component("credential_provider", AssumedRole(config, config.credentials, "reader", 1))
    assert core.get_credentials() is given
