"""A function that shows what it is given and does what its event says; it needs no package."""

import json
import os
import sys
import time
import urllib.request
from pathlib import Path


def handler(event, context):
    """Answer a proxy event by its path, a direct invocation by its `do`."""
    if "httpMethod" not in event:
        return _DEEDS[event["do"]](event)
    if event["path"] == "/raise":
        raise ValueError("as asked")
    if event["path"] == "/teapot":
        return {"statusCode": 418, "multiValueHeaders": {"X-Twice": ["one", "two"]}, "body": ""}
    answer = _use_stores() if event["path"] == "/stores" else event
    return {
        "statusCode": 200,
        "headers": {"Content-Type": "application/json"},
        "body": json.dumps(answer),
    }


def _describe(event):
    return {"environment": dict(os.environ), "import_path": sys.path, "process": os.getpid()}


def _print(event):
    print(event["word"], "on stdout")
    print(event["word"], "on stderr", file=sys.stderr)


def _meet(event):
    folder = Path(event["folder"])
    (folder / str(os.getpid())).touch()
    while len(list(folder.iterdir())) < event["people"]:
        time.sleep(0.01)
    return {"process": os.getpid()}


def _hang(event):
    time.sleep(60)


def _exit(event):
    os._exit(3)


_DEEDS = {"describe": _describe, "print": _print, "meet": _meet, "hang": _hang, "exit": _exit}


def _use_stores():
    table, bucket = os.environ["TABLE"], os.environ["BUCKET"]
    for name, at in (("second", "2"), ("first", "1")):
        item = {"id": {"S": name}, "owner": {"S": "someone"}, "at": {"S": at}}
        _dynamodb("PutItem", {"TableName": table, "Item": item})
    page = _dynamodb(
        "Query",
        {
            "TableName": table,
            "IndexName": "ByOwner",
            "KeyConditionExpression": "#owner = :owner",
            "ExpressionAttributeNames": {"#owner": "owner"},
            "ExpressionAttributeValues": {":owner": {"S": "someone"}},
        },
    )
    _call("s3", "PUT", f"/{bucket}/key", {}, b"bytes of the object")
    return {"items": page["Items"], "object": _call("s3", "GET", f"/{bucket}/key", {}).decode()}


def _dynamodb(operation, document):
    headers = {
        "X-Amz-Target": f"DynamoDB_20120810.{operation}",
        "Content-Type": "application/x-amz-json-1.0",
    }
    return json.loads(_call("dynamodb", "POST", "/", headers, json.dumps(document).encode()))


def _call(service, method, path, headers, body=None):
    # LocalStack reads region and service from this header and takes any signature in it; only
    # what is presigned is verified.
    scope = f"{os.environ['AWS_ACCESS_KEY_ID']}/20260101/{os.environ['AWS_REGION']}/{service}"
    signed = f"AWS4-HMAC-SHA256 Credential={scope}/aws4_request, SignedHeaders=host, Signature=0"
    request = urllib.request.Request(
        os.environ["AWS_ENDPOINT_URL"] + path,
        data=body,
        method=method,
        headers={"Authorization": signed, **headers},
    )
    with urllib.request.urlopen(request) as answer:
        return answer.read()
