"""POST /images/upload-url."""

import json
import os
import uuid

import boto3
from botocore.config import Config

s3 = boto3.client("s3", config=Config(signature_version="s3v4"))
BUCKET = os.environ["S3_BUCKET_NAME"]
TYPES = {"image/jpeg", "image/png", "image/gif", "image/webp", "image/bmp"}


def handler(event, context):
    body = json.loads(event["body"])
    missing = {"user_id", "filename", "content_type", "file_size"} - body.keys()
    if missing or body["content_type"] not in TYPES:
        return {"statusCode": 400, "body": json.dumps({"missing": sorted(missing)})}
    image_id = str(uuid.uuid4())
    metadata = json.dumps({"filename": body["filename"], "tags": body.get("tags", [])})
    fields = {"Content-Type": body["content_type"], "x-amz-meta-declared": metadata}
    size = body["file_size"]
    post = s3.generate_presigned_post(
        BUCKET,
        f"uploads/{body['user_id']}/{image_id}",
        Fields=fields,
        Conditions=[
            *({name: value} for name, value in fields.items()),
            ["content-length-range", size, size],
        ],
        ExpiresIn=3600,
    )
    answer = {
        "image_id": image_id,
        "presigned_url": post["url"],
        "fields": post["fields"],
        "expires_in": 3600,
        "s3_key": f"images/{body['user_id']}/{image_id}_{body['filename']}",
    }
    return {
        "statusCode": 200,
        "headers": {"Content-Type": "application/json"},
        "body": json.dumps(answer),
    }
