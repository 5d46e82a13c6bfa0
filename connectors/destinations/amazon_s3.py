"""Amazon S3: events as compressed files in a bucket, there or in any store that speaks the same API.

**What you need.** A bucket, its region, and an access key whose user may write objects (`s3:PutObject`), or may assume
a role that does. For another store (MinIO, Cloudflare R2, Backblaze B2, Wasabi, DigitalOcean Spaces, …) also the
address of its S3 API, and the region that it names. A role can be assumed in every region but those of China.

**What is sent.** Every event is a line of JSON in a gzip file. Files lie in folders by source, call, day and hour, in
UTC, so that Athena, Spark and the like find them as partitions:
`headwater/source=…/type=track/dt=2026-01-31/hour=12/….json.gz`. A file is named after the events in it, so that a
repeat replaces the very same file. The mapping can put other values in place of source, call and hour.

**Limits.** A file is closed at 10,000 events or 20 MB before compression, or when events have waited a minute; the
mapping can say another time, up to five minutes. Where the hub is busy with others, events wait less.

**Errors.** When S3 asks to slow down, events wait. A bucket that is gone, a key that is wrong or may not write, and a
wrong region stop the destination; nothing is lost. A key that may only write cannot look whether the bucket is there,
so its test ends with the warning `only_writes`. People are not erased from files: have a lifecycle rule delete them in
time, or rewrite them with a tool of your own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import quote, urlsplit

from connectors import answers
from connectors.base import BuildContext, Connector, Field, Settings
from connectors.destinations import _aws as aws
from connectors.destinations import _objects as objects
from connectors.http import Headers, ItemOutcome, RequestSpec, Response

BUCKET = r"(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
ENCRYPTION = "x-amz-server-side-encryption"


@dataclass(frozen=True, slots=True)
class Bucket:
    """Where files go, and what is said of each."""

    url: str
    headers: Headers
    prefix: str


def prepare(settings: Settings) -> Bucket:
    """Work out address and headers once."""
    headers = [objects.CONTENT_TYPE]
    if settings.get("encryption"):
        headers.append((ENCRYPTION, str(settings["encryption"])))
    if settings.get("encryption") == "aws:kms" and settings.get("kms_key_id"):
        headers.append((f"{ENCRYPTION}-aws-kms-key-id", str(settings["kms_key_id"])))
    return Bucket(_address(settings), tuple(headers), str(settings.get("prefix") or ""))


def _address(settings: Settings) -> str:
    """Give the bucket's URL, without a slash at the end.

    Amazon's certificates are good for one label before the host, so a bucket with dots in its name goes into the path;
    and so does every bucket of another store, unless the owner says otherwise.
    """
    bucket, region, own = str(settings["bucket"]), str(settings["region"]), str(settings.get("endpoint") or "")
    base = own.rstrip("/") or f"https://s3.{region}.{aws.suffix_of(region)}"
    chosen = settings.get("addressing") or "auto"
    if chosen == "path" or (chosen == "auto" and (own or "." in bucket)):
        return f"{base}/{bucket}"
    parts = urlsplit(base)
    return f"{parts.scheme}://{bucket}.{parts.netloc}{parts.path}"


def put(bucket: Bucket, file: objects.File) -> RequestSpec:
    """Write a file; one of this name is replaced."""
    url = f"{bucket.url}/{quote(file.key, safe='/~')}"
    return RequestSpec(
        "PUT", url, bucket.headers, file.content, "raw", file.covers, timeout_s=60.0, endpoint_label="put_object"
    )


def build_test(bucket: Bucket, context: BuildContext) -> RequestSpec:
    """Ask where the bucket is, which shows that it exists and knows the key."""
    return RequestSpec("GET", f"{bucket.url}/?location", endpoint_label="test")


def read_answer(request: RequestSpec, response: Response) -> list[ItemOutcome]:
    """Go by the code in S3's answer."""
    return objects.never_at_fault(aws.reader(answers.delivered)(request, response))


SETTINGS = (
    Field("bucket", "Bucket", required=True, pattern=BUCKET, placeholder="acme-events"),
    replace(
        aws.REGION,
        pattern=r"[a-z0-9][a-z0-9-]{1,40}",
        description="Of the bucket; of another store what it names, often us-east-1 or auto. Changing it forgets the "
        "stored secret key.",
    ),
    replace(aws.ACCESS_KEY, pattern=r"[!-~]{3,128}", description="Of a user of IAM, or of the other store."),
    aws.SECRET_KEY,
    aws.ROLE,
    aws.EXTERNAL_ID,
    objects.PREFIX,
    objects.FILE_EVENTS,
    Field(
        "encryption",
        "Encryption",
        description="How files are encrypted at rest.",
        choices=(("AES256", "With a key of S3"), ("aws:kms", "With a key of KMS")),
    ),
    Field("kms_key_id", "KMS key", description="Its ARN; empty for the account's own.", pattern=r"[!-~]{1,2048}"),
    Field(
        "endpoint",
        "Address of another store",
        description="Of its S3 API; empty for Amazon's own. Changing it forgets the stored secret key.",
        format="uri",
        clears_secrets=True,
        placeholder="https://minio.example:9000",
    ),
    Field(
        "addressing",
        "Place of the bucket's name",
        description="In the host's name at Amazon and in the path at other stores, unless yours wants it otherwise.",
        default="auto",
        choices=(("auto", "As is usual"), ("virtual", "In the host's name"), ("path", "In the path")),
    ),
)

STORE = objects.store(objects.builder(lambda bucket: bucket.prefix, put))

connector = Connector(
    slug="amazon_s3",
    name="Amazon S3",
    version="1.0.0",
    category="storage",
    status="stable",
    description="Stores events as compressed JSON files in S3, or in a store that speaks its API.",
    docs_url="https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html",
    settings=SETTINGS,
    actions=(STORE,),
    presets=objects.presets(STORE),
    prepare=prepare,
    test=build_test,
    interpret=read_answer,
    auth=(aws.scheme("s3"),),
    allows_custom_host=True,
    idempotency="field:key",
)
