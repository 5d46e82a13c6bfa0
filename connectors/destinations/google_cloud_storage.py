"""Google Cloud Storage: events as compressed files in a bucket.

**What you need.** A bucket, and the JSON key of a service account that may create objects in it (Storage Object
Creator, or Storage Object User).

**What is sent.** Every event is a line of JSON in a gzip file. Files lie in folders by source, call, day and hour, in
UTC, so that BigQuery, Spark and the like find them as partitions:
`headwater/source=…/type=track/dt=2026-01-31/hour=12/….json.gz`. A file is named after the events in it; one that is
there already is left as it is, so that a repeat does no harm. The mapping can put other values in place of source, call
and hour.

**Limits.** A file is closed at 10,000 events or 20 MB before compression, or when events have waited a minute; the
mapping can say another time, up to five minutes. Where the hub is busy with others, events wait less.

**Errors.** When Google asks to slow down, events wait. A bucket that is gone, a service account that may not write, and
an unpaid bill stop the destination; nothing is lost. People are not erased from files: have a lifecycle rule delete
them in time, or rewrite them with a tool of your own.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from connectors import answers
from connectors.base import BuildContext, Connector, Field, Settings
from connectors.destinations import _google_cloud as google
from connectors.destinations import _objects as objects
from connectors.fields import API_URL, api_url
from connectors.http import ItemOutcome, RequestSpec, Response

BASE_URLS = {"api": "https://storage.googleapis.com"}
BUCKET = r"(?!.*\.\.)[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]"
PERMISSION = "storage.objects.create"


@dataclass(frozen=True, slots=True)
class Bucket:
    """Where files go."""

    upload_url: str
    url: str
    prefix: str


def prepare(settings: Settings) -> Bucket:
    """Work out the addresses once."""
    base, name = api_url(BASE_URLS, settings), settings["bucket"]
    return Bucket(
        f"{base}/upload/storage/v1/b/{name}/o", f"{base}/storage/v1/b/{name}", str(settings.get("prefix") or "")
    )


def insert(bucket: Bucket, file: objects.File) -> RequestSpec:
    """Write a file, unless there is one of this name."""
    query = f"uploadType=media&ifGenerationMatch=0&name={quote(file.key, safe='')}"
    return RequestSpec(
        "POST",
        f"{bucket.upload_url}?{query}",
        (objects.CONTENT_TYPE,),
        file.content,
        "raw",
        file.covers,
        timeout_s=60.0,
        endpoint_label="insert_object",
    )


def build_test(bucket: Bucket, context: BuildContext) -> RequestSpec:
    """Ask whether files may be written, which everybody may ask about himself."""
    url = f"{bucket.url}/iam/testPermissions?permissions={PERMISSION}"
    return RequestSpec("GET", url, endpoint_label="test")


def read_answer(request: RequestSpec, response: Response) -> list[ItemOutcome]:
    """Go by the reason in Google's answer; a file that is there already has arrived before."""
    if response.error is None and 200 <= response.status < 300:
        is_test = request.endpoint_label == "test"
        return google.permitted(request, response, PERMISSION) if is_test else answers.delivered(request, response)
    if response.error is None and response.status == 412 and request.endpoint_label != "test":
        return answers.delivered(request, response)
    return objects.never_at_fault(google.failure(request, response))


STORE = objects.store(objects.builder(lambda bucket: bucket.prefix, insert))

connector = Connector(
    slug="google_cloud_storage",
    name="Google Cloud Storage",
    version="1.0.0",
    category="storage",
    status="stable",
    description="Stores events as compressed JSON files in a bucket of Google Cloud.",
    docs_url="https://cloud.google.com/storage/docs/json_api/v1/objects/insert",
    settings=(
        Field("bucket", "Bucket", required=True, pattern=BUCKET, placeholder="acme-events"),
        google.SERVICE_ACCOUNT,
        objects.PREFIX,
        objects.FILE_EVENTS,
        API_URL,
    ),
    actions=(STORE,),
    presets=objects.presets(STORE),
    prepare=prepare,
    test=build_test,
    interpret=read_answer,
    auth=(google.scheme("devstorage.read_write"),),
    base_urls=BASE_URLS,
    idempotency="field:name",
)
