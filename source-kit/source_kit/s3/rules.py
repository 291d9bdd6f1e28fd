"""The error table: answers of S3 and STS and errors without one, whether to retry, and the sentence for the user.

The codes are those that AWS documents.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import partial

from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from botocore import exceptions as botocore

from source_kit.errors import PROXY_WANTS_LOGIN


class IncompleteAnswer(OSError):
    """An answer that ended early without a connection error.

    Python's HTTP client accepts cut headers, and a body without a length ends where the connection does. botocore
    returns both as good answers: an empty list, an empty object.
    """


class HtmlAnswer(IncompleteAnswer):
    """An HTML page, where S3 would answer in XML."""


class WrongPart(IncompleteAnswer):
    """An answer with another part of the object, or of another version of it, than requested."""


class UnstableObject(WrongPart):
    """An object whose parts did not fit together after several restarts of its download."""


class Operation(Enum):
    """What the connector was doing; the value completes a sentence, by `Wording.doing`."""

    CREDENTIALS = "looking for credentials"
    ROLE = "assuming the role"
    LIST = "listing the {objects}"
    GET = "reading an object"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """What a bucket holds for its reader, in the words of the sentences.

    The reader lists `objects` below `prefix`, which `writer` has written. `lost` ends the sentence of an object that
    does not exist: how the reader knew of it, and what to do.
    """

    objects: str = "objects"
    prefix: str = ""
    writer: str = "the writer"
    lost: str = "."

    def doing(self, operation: Operation) -> str:
        """What the connector was doing."""
        return operation.value.format(objects=self.objects)


class Missing(AirbyteTracedException):
    """The object does not exist."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the table. The first matching row counts.

    `on` are the error codes of an answer, or the classes of errors without an answer. `operation` and `text`, if given,
    must fit too: `text` stands in the server's message, since AWS names the missing right there, not in the code.
    `heals` means retry; `renews` means retry once with fresh credentials.
    """

    on: str | tuple[type[Exception], ...]
    message: str
    operation: Operation | None = None
    text: str = ""
    failure_type: FailureType = FailureType.config_error
    heals: bool = False
    renews: bool = False
    raises: type[AirbyteTracedException] = AirbyteTracedException

    def matches(self, operation: Operation, found: str | Exception, text: str) -> bool:
        """Whether this row is for an answer with this code and message, or for this error."""
        if self.operation not in (None, operation) or self.text not in text:
            return False
        if isinstance(found, str):
            return isinstance(self.on, str) and not {found, found.partition(".")[0] + ".*"}.isdisjoint(self.on.split())
        return not isinstance(self.on, str) and isinstance(found, self.on)


_Transient = partial(Rule, failure_type=FailureType.transient_error, heals=True)

#: The source of access keys in the configuration
OPTIONS = "option credentials"
_WRONG_ROLE = "AWS does not accept the role {role}: check the account id, the role's name and external_id."
_WRONG_BUCKET = "{bucket} cannot be the name of a bucket. Check option bucket."
NO_STS = (
    "The server at endpoint_url does not assume roles, so {role} cannot be assumed there: like a VPC endpoint it "
    "serves S3 only. Set the variable AWS_ENDPOINT_URL_STS to the address of STS (AWS's own is "
    "https://sts.us-east-1.amazonaws.com), or use an access key."
)
WRONG_REGION = "The bucket {bucket} is in another region{region}. Set region to the bucket's, or leave it empty."
RULES = (
    Rule(
        "AccessDenied NoSuchEntity 403 404",
        "AWS refused to let this connector assume the role {role}. Check the account id and the role's name, that the "
        "role's trust policy names the connector's AWS account or user, and that external_id is the one the trust "
        "policy asks for.",
        Operation.ROLE,
    ),
    Rule("MethodNotAllowed NotImplemented NoSuchBucket UnknownOperation 405 501", NO_STS, Operation.ROLE),
    Rule("ValidationError MalformedPolicyDocument 400", _WRONG_ROLE, Operation.ROLE),
    Rule(
        "RegionDisabledException",
        "The region of this connector is disabled in the role's AWS account: set region to an enabled one.",
        Operation.ROLE,
    ),
    Rule(
        "InvalidClientTokenId InvalidAccessKeyId UnrecognizedClientException SignatureDoesNotMatch",
        "The connector's own AWS credentials, with which it would assume the role {role}, are not valid. Check the "
        "credentials in the environment in which the connector runs.",
        Operation.ROLE,
    ),
    Rule("NoSuchBucket", "There is no bucket named {bucket}. Check option bucket, and endpoint_url if it is set."),
    Rule("InvalidBucketName", _WRONG_BUCKET),
    Rule(
        "NoSuchKey 404",
        "The object {key} does not exist in the bucket {bucket}{lost}",
        Operation.GET,
        raises=Missing,
    ),
    Rule(
        "AccessDenied AllAccessDisabled 403",
        "Listing the {objects} in the bucket {bucket} was refused. Allow s3:ListBucket on the bucket for the prefix "
        "{prefix} to the role or user that this connector uses.",
        Operation.LIST,
    ),
    Rule(
        "AccessDenied KMS.AccessDeniedException",
        "Reading {key} in the bucket {bucket} was refused, since it is encrypted with a key of AWS KMS that this role "
        "or user may not use. Allow kms:Decrypt on that key to it, in its policy and in the key's.",
        Operation.GET,
        text="kms:",
    ),
    Rule(
        "KMS.*",
        "The object {key} in the bucket {bucket} is encrypted with a key of AWS KMS that cannot be used ({code}): it "
        "is disabled, to be deleted, in another account, or kms:Decrypt is missing. Make the key usable again.",
    ),
    Rule(
        "AccessDenied AllAccessDisabled 403",
        "Reading {key} in the bucket {bucket} was refused, though listing works. Either s3:GetObject on the bucket's "
        "objects is missing (or the object belongs to {writer}'s account: set Object Ownership to Bucket owner "
        "enforced), or the object was deleted: S3 also refuses missing objects to a caller who may list {prefix} only.",
        Operation.GET,
    ),
    Rule(
        "InvalidObjectState",
        "The object {key} is archived in Glacier and cannot be read. Restore it in S3, and exclude this bucket from "
        "lifecycle rules.",
    ),
    Rule(
        "InvalidAccessKeyId InvalidClientTokenId",
        "AWS does not know the access key. It came from {source}: check the key there, and whether it was deleted.",
        renews=True,
    ),
    Rule(
        "SignatureDoesNotMatch",
        "The secret does not belong to the access key. They came from {source}: check both there. AWS shows a "
        "secret only once, so you may need a new key.",
    ),
    Rule(
        "ExpiredToken ExpiredTokenException TokenRefreshRequired RequestExpired",
        "The session token has expired. It came from {source}: enter new temporary keys there, or use a role or "
        "permanent keys instead.",
        renews=True,
    ),
    Rule(
        "InvalidToken",
        "The session token is not valid. It came from {source}: check it there, or remove it if the keys are "
        "permanent.",
        renews=True,
    ),
    Rule(
        "RequestTimeTooSkewed RequestInTheFuture",
        "The clock of the machine that runs this connector differs from the server's by more than 15 minutes. Correct "
        "the clock.",
    ),
    Rule(
        "PermanentRedirect AuthorizationHeaderMalformed IllegalLocationConstraintException IncorrectEndpoint "
        "TemporaryRedirect Redirect 301 307",
        WRONG_REGION,
    ),
    Rule("407", PROXY_WANTS_LOGIN),
    _Transient(
        "PreconditionFailed 412 InvalidRange 416",
        "The object {key} was replaced while it was read, several times. Run the sync again when {writer} has "
        "finished.",
    ),
    _Transient(
        "SlowDown ServiceUnavailable InternalError RequestTimeout Throttling ThrottlingException RequestLimitExceeded "
        "OperationAborted BandwidthLimitExceeded 500 502 503 504 429",
        "S3 failed with {code} while {doing}, after several attempts. The state is kept; run the sync again later.",
    ),
    # errors without an answer from the server
    Rule(
        (botocore.InvalidRegionError,),
        "Option region is not the name of an AWS region: write it like us-east-1, or leave it empty.",
    ),
    Rule((botocore.ParamValidationError,), _WRONG_ROLE, Operation.ROLE),
    Rule((botocore.ParamValidationError,), _WRONG_BUCKET),
    Rule(
        (UnstableObject,),
        "The object {key} could not be read: several times the server sent other parts of it than requested, or parts "
        "of another version. Check endpoint_url and any proxy or cache in between; the next sync continues from the "
        "last state.",
        failure_type=FailureType.transient_error,
    ),
    _Transient(
        (WrongPart,),
        "The server sent another part of the object {key} than requested, several times. Check endpoint_url and any "
        "proxy or cache in between; the next sync continues from the last state.",
    ),
    _Transient(
        (HtmlAnswer,),
        "The server answered with an HTML page while {doing}, several times, as proxies, sign-on pages and web servers "
        "do. Check endpoint_url and any proxy in between; the next sync continues from the last state.",
    ),
    _Transient(
        (botocore.EndpointConnectionError,),
        "No server answers at the address of STS, where the role {role} is assumed. Check region, the network, and the "
        "variable AWS_ENDPOINT_URL_STS or endpoint_url where they are set; the next sync continues from the last "
        "state.",
        Operation.ROLE,
    ),
    _Transient(
        (botocore.EndpointConnectionError,),
        "No server answers at the address for this bucket. Check region (is it spelled right?), endpoint_url and the "
        "network; the next sync continues from the last state.",
    ),
    Rule(
        (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError),
        "A file that is needed for {doing} cannot be read: see the internal message for its name. Mount it, readable "
        "for the user that runs the connector.",
    ),
    _Transient(
        (botocore.ConnectionError, botocore.HTTPClientError, OSError),
        "The connection to S3 could not be made or broke while {doing}, after several attempts. Check the network, "
        "region and endpoint_url; the next sync continues from the last state.",
    ),
    Rule(
        (Exception,),
        "A request to S3 failed while {doing}, with an error that this connector does not know. See the internal "
        "message.",
        failure_type=FailureType.system_error,
    ),
)
#: The row for an answer with any other code
UNKNOWN = Rule(
    "",
    "S3 answered {code} while {doing}. See the internal message for its text.",
    failure_type=FailureType.system_error,
)
