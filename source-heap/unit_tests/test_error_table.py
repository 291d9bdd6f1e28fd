"""Each answer of S3 and STS: the exact sentence, its failure type, and whether it is retried."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ParamValidationError,
    ReadTimeoutError,
    SSLError,
)
from source_heap.bucket import WORDING
from source_kit.s3.errors import failure, rule_for
from source_kit.s3.rules import HtmlAnswer, IncompleteAnswer, Operation, WrongPart

CONFIG, TRANSIENT, SYSTEM = "config_error", "transient_error", "system_error"
GET, LIST, ROLE = Operation.GET, Operation.LIST, Operation.ROLE
TABLE: list[tuple[Operation, str, str, bool, str]] = [
    (
        ROLE,
        "AccessDenied",
        CONFIG,
        False,
        "AWS refused to let this connector assume the role R. Check the account id and the role's name, that "
        "the role's trust policy names the connector's AWS account or user, and that external_id is the one "
        "the trust policy asks for.",
    ),
    (
        ROLE,
        "NoSuchEntity",
        CONFIG,
        False,
        "AWS refused to let this connector assume the role R.",
    ),
    (
        ROLE,
        "ValidationError",
        CONFIG,
        False,
        "AWS does not accept the role R: check the account id, the role's name and external_id.",
    ),
    (
        ROLE,
        "RegionDisabledException",
        CONFIG,
        False,
        "The region of this connector is disabled in the role's AWS account: set region to an enabled one.",
    ),
    (
        ROLE,
        "InvalidClientTokenId",
        CONFIG,
        False,
        "The connector's own AWS credentials, with which it would assume the role R, are not valid.",
    ),
    (
        ROLE,
        "SignatureDoesNotMatch",
        CONFIG,
        False,
        "The connector's own AWS credentials, with which it would assume",
    ),
    (
        LIST,
        "NoSuchBucket",
        CONFIG,
        False,
        "There is no bucket named B. Check option bucket, and endpoint_url if it is set.",
    ),
    (
        LIST,
        "InvalidBucketName",
        CONFIG,
        False,
        "B cannot be the name of a bucket. Check option bucket.",
    ),
    (
        GET,
        "NoSuchKey",
        CONFIG,
        False,
        "The object K does not exist in the bucket B, though a manifest names it. A lifecycle rule or a "
        "person has deleted it; ask Heap to send the table again (an event: turn it off and on in Heap; users, "
        "sessions, pageviews: ask its support for a full sync), or set on_missing_file to skip to read on without it.",
    ),
    (
        LIST,
        "AccessDenied",
        CONFIG,
        False,
        "Listing the manifests in the bucket B was refused. Allow s3:ListBucket on the bucket for the prefix "
        "manifests/ to the role or user that this connector uses.",
    ),
    (
        GET,
        "AccessDenied",
        CONFIG,
        False,
        "Reading K in the bucket B was refused, though listing works. Either s3:GetObject on the bucket's "
        "objects is missing (or the object belongs to Heap's account: set Object Ownership to Bucket owner "
        "enforced), or the object was deleted: S3 also refuses missing objects to a caller who may list "
        "manifests/ only.",
    ),
    (
        GET,
        "InvalidObjectState",
        CONFIG,
        False,
        "The object K is archived in Glacier and cannot be read. Restore it in S3, and exclude this bucket "
        "from lifecycle rules.",
    ),
    (
        LIST,
        "InvalidAccessKeyId",
        CONFIG,
        False,
        "AWS does not know the access key. It came from option credentials: check the key there, and whether it was "
        "deleted.",
    ),
    (
        LIST,
        "SignatureDoesNotMatch",
        CONFIG,
        False,
        "The secret does not belong to the access key. They came from option credentials: check both there.",
    ),
    (
        GET,
        "ExpiredToken",
        CONFIG,
        False,
        "The session token has expired. It came from option credentials: enter new temporary keys there, or use a "
        "role or permanent keys instead.",
    ),
    (
        GET,
        "InvalidToken",
        CONFIG,
        False,
        "The session token is not valid. It came from option credentials: check it there, or remove it if the "
        "keys are permanent.",
    ),
    (
        LIST,
        "RequestTimeTooSkewed",
        CONFIG,
        False,
        "The clock of the machine that runs this connector differs from the server's by more than 15 minutes."
        " Correct the clock.",
    ),
    (
        LIST,
        "PermanentRedirect",
        CONFIG,
        False,
        "The bucket B is in another region, eu-west-1. Set region to the bucket's, or leave it empty.",
    ),
    (
        GET,
        "PreconditionFailed",
        TRANSIENT,
        True,
        "The object K was replaced while it was read, several times.",
    ),
    (
        GET,
        "SlowDown",
        TRANSIENT,
        True,
        "S3 failed with SlowDown while reading an object, after several attempts. The state is kept; run the "
        "sync again later.",
    ),
    (
        LIST,
        "InternalError",
        TRANSIENT,
        True,
        "S3 failed with InternalError while listing the manifests",
    ),
    (
        ROLE,
        "Throttling",
        TRANSIENT,
        True,
        "S3 failed with Throttling while assuming the role",
    ),
    (
        GET,
        "Teapot",
        SYSTEM,
        False,
        "S3 answered Teapot while reading an object. See the internal message for its text.",
    ),
]


def answer(code: str, status: int = 400) -> ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": "as sent", "Region": "eu-west-1"},
        "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": {}},
    }
    return ClientError(response, "GetObject")


@pytest.mark.parametrize(("operation", "code", "kind", "again", "sentence"), TABLE)
def test_each_answer_has_its_sentence(operation: Operation, code: str, kind: str, again: bool, sentence: str) -> None:
    error = answer(code)
    raised = failure(operation, error, wording=WORDING, bucket="B", key="K", role="R")
    assert raised.message is not None
    assert raised.message.startswith(sentence)
    assert raised.failure_type.value == kind
    assert rule_for(operation, error).heals is again
    assert f"{code}: as sent" in str(raised.internal_message)


@pytest.mark.parametrize(
    ("error", "kind", "again", "sentence"),
    [
        (ParamValidationError(report="x"), CONFIG, False, "B cannot be the name of a bucket."),
        (SSLError(endpoint_url="x", error="y"), TRANSIENT, True, "The connection to S3 could not be made or broke"),
        (
            EndpointConnectionError(endpoint_url="x"),
            TRANSIENT,
            True,
            "No server answers at the address for this bucket.",
        ),
        (ReadTimeoutError(endpoint_url="x"), TRANSIENT, True, "The connection to S3 could not be made or broke while"),
        (
            ConnectTimeoutError(endpoint_url="x"),
            TRANSIENT,
            True,
            "The connection to S3 could not be made or broke while",
        ),
        (BotoCoreError(), SYSTEM, False, "A request to S3 failed while reading an object, with an error that"),
        (IncompleteAnswer("x"), TRANSIENT, True, "The connection to S3 could not be made or broke while"),
        (WrongPart("x"), TRANSIENT, True, "The server sent another part of the object K than requested"),
        (HtmlAnswer("x"), TRANSIENT, True, "The server answered with an HTML page while reading an object"),
        (FileNotFoundError(2, "x", "f"), CONFIG, False, "A file that is needed for reading an object cannot be read"),
        (OSError("x"), TRANSIENT, True, "The connection to S3 could not be made or broke while"),
    ],
)
def test_each_failure_without_an_answer_has_its_sentence(
    error: Exception, kind: str, again: bool, sentence: str
) -> None:
    raised = failure(GET, error, wording=WORDING, bucket="B", key="K")
    assert (raised.message or "").startswith(sentence)
    assert raised.failure_type.value == kind
    assert rule_for(GET, error).heals is again


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ParamValidationError(report="x"), "AWS does not accept the role R: check the account id"),
        (OSError("x"), "The connection to S3 could not be made or broke while assuming the role"),
    ],
)
def test_a_role_that_cannot_even_be_asked_for_has_sentences_of_its_own(error: Exception, sentence: str) -> None:
    assert (failure(ROLE, error, wording=WORDING, bucket="B", role="R").message or "").startswith(sentence)


@pytest.mark.parametrize(
    "response",
    [
        {"ResponseMetadata": {"HTTPStatusCode": 403, "HTTPHeaders": {}}},
        {"Code": "AccessDenied", "ResponseMetadata": {"HTTPStatusCode": 403}},
        {"Error": {}, "ResponseMetadata": {"HTTPStatusCode": 403}},
        {"Error": {"Code": "Unheard", "Message": None}, "ResponseMetadata": {"HTTPStatusCode": 403}},
    ],
)
def test_an_answer_without_the_documented_error_is_judged_by_what_it_has(response: Any) -> None:
    raised = failure(ROLE, ClientError(response, "AssumeRole"), wording=WORDING, bucket="B", role="R")
    assert (raised.message or "").startswith("AWS refused to let this connector assume the role R.")


def test_an_answer_without_anything_still_has_a_sentence() -> None:
    raised = failure(GET, ClientError({}, "GetObject"), wording=WORDING, bucket="B", key="K")
    assert (raised.message or "").startswith("S3 answered an error without a code while reading an object.")
