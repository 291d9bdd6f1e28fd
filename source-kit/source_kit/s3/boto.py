"""Every private hook into botocore, each with its reason. `unit_tests/test_boto.py` fails when botocore changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.session import Session

from source_kit.s3.credential_errors import MfaCodeNeeded


def raw_body(answer: Mapping[str, Any]) -> Any:
    """The urllib3 response behind the body of a `get_object` answer.

    botocore's own `read(size)` waits until `size` bytes have come, however slowly; the response has `read1`, which
    returns what is there.
    """
    return answer["Body"]._raw_stream


def refuse_mfa_prompts(core: Session) -> None:
    """Raises MfaCodeNeeded where a profile's role needs the code of an MFA device.

    botocore would ask for the code at the terminal, and has no setting against it.
    """
    core.get_component("credential_provider").get_provider("assume-role")._prompter = _refuse


def _refuse(question: str) -> str:
    raise MfaCodeNeeded(question)
