"""Flask and boto3 on gunicorn's threads.

gunicorn flask_boto3:app --worker-class gthread --threads 8
"""

import base64
import binascii
import json
import os
import re
from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID, uuid4

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from flask import Flask, abort, jsonify, request

BUCKET = os.environ.get("S3_BUCKET_NAME", "mont-images")
TABLE = os.environ.get("DYNAMODB_TABLE_NAME", "ImageMetadata")
INDEX = os.environ.get("DYNAMODB_GSI_NAME", "UserIdTimestampIndex")
REGION = os.environ.get("AWS_REGION", "us-east-1")
UPLOAD_EXPIRY, DOWNLOAD_EXPIRY = 3600, 900
TYPES = {"image/jpeg", "image/png", "image/gif", "image/webp", "image/bmp"}
LARGEST = 10_485_760
USER_ID = re.compile(r"[A-Za-z0-9._@+:-]{1,128}")
UNSAFE = re.compile(r"[^A-Za-z0-9._-]")

s3 = boto3.client(
    "s3", region_name=REGION, config=Config(signature_version="s3v4", max_pool_connections=50)
)
dynamodb = boto3.client("dynamodb", region_name=REGION, config=Config(max_pool_connections=50))
app = Flask(__name__)


def key_of(user_id, image_id, filename):
    return f"images/{user_id}/{image_id}_{UNSAFE.sub('_', filename)}"


def checked_user(body):
    user_id = body.get("user_id")
    if not isinstance(user_id, str) or not USER_ID.fullmatch(user_id):
        abort(400, "user_id is missing or not valid")
    return user_id


def checked_file(body):
    filename, tags = body.get("filename"), body.get("tags") or []
    size, description = body.get("file_size"), body.get("description")
    if not isinstance(filename, str) or not 1 <= len(filename) <= 255:
        abort(400, "filename is missing or not valid")
    if body.get("content_type") not in TYPES:
        abort(400, "content_type is missing or not valid")
    if not isinstance(size, int) or not 1 <= size <= LARGEST:
        abort(400, "file_size is missing or not valid")
    if len(tags) > 20 or not all(isinstance(tag, str) and 1 <= len(tag) <= 50 for tag in tags):
        abort(400, "tags are not valid")
    if description is not None and len(description) > 500:
        abort(400, "description is too long")
    return filename, body["content_type"], size, tags, description


def image_of(item):
    return {
        "image_id": item["image_id"]["S"],
        "user_id": item["user_id"]["S"],
        "filename": item["filename"]["S"],
        "content_type": item["content_type"]["S"],
        "file_size": int(item["file_size"]["N"]),
        "upload_timestamp": item["upload_timestamp"]["S"],
        "tags": [tag["S"] for tag in item["tags"]["L"]],
        "description": item["description"]["S"] if "description" in item else None,
        "status": item["status"]["S"],
        "s3_key": item["s3_key"]["S"],
    }


@app.post("/images/upload-url")
def upload_url():
    body = request.get_json()
    user_id = checked_user(body)
    filename, content_type, size, _, _ = checked_file(body)
    image_id = str(uuid4())
    key = key_of(user_id, image_id, filename)
    post = s3.generate_presigned_post(
        BUCKET,
        key,
        Fields={"Content-Type": content_type},
        Conditions=[{"Content-Type": content_type}, ["content-length-range", size, size]],
        ExpiresIn=UPLOAD_EXPIRY,
    )
    return jsonify(
        image_id=image_id,
        presigned_url=post["url"],
        fields=post["fields"],
        expires_in=UPLOAD_EXPIRY,
        s3_key=key,
    )


@app.post("/images/complete")
def complete():
    body = request.get_json()
    user_id = checked_user(body)
    filename, content_type, size, tags, description = checked_file(body)
    try:
        image_id = str(UUID(body.get("image_id")))
    except (TypeError, ValueError):
        abort(400, "image_id is missing or not valid")
    key = key_of(user_id, image_id, filename)
    try:
        head = s3.head_object(Bucket=BUCKET, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"404", "NoSuchKey"}:
            raise
        abort(404, "Nothing was uploaded")
    if head["ContentLength"] != size or head["ContentType"] != content_type:
        abort(422, "The upload is not what was declared")
    item = {
        "image_id": {"S": image_id},
        "user_id": {"S": user_id},
        "filename": {"S": filename},
        "content_type": {"S": content_type},
        "file_size": {"N": str(size)},
        "upload_timestamp": {"S": datetime.now(UTC).isoformat()},
        "tags": {"L": [{"S": tag} for tag in tags]},
        "status": {"S": "completed"},
        "s3_key": {"S": key},
    }
    if description is not None:
        item["description"] = {"S": description}
    with suppress(dynamodb.exceptions.ConditionalCheckFailedException):  # completed before
        dynamodb.put_item(
            TableName=TABLE, Item=item, ConditionExpression="attribute_not_exists(image_id)"
        )
    message = "Image upload completed successfully"
    return jsonify(image_id=image_id, status="completed", message=message)


@app.get("/images")
def list_images():
    user_id = checked_user(request.args)
    limit = request.args.get("limit", 50, type=int)
    if not 1 <= limit <= 100:
        abort(400, "limit is not valid")
    more = {}
    if token := request.args.get("next_token"):
        try:
            more["ExclusiveStartKey"] = json.loads(base64.urlsafe_b64decode(token))
        except (binascii.Error, ValueError):
            abort(400, "next_token is not one of ours")
    answer = dynamodb.query(
        TableName=TABLE,
        IndexName=INDEX,
        KeyConditionExpression="user_id = :user",
        ExpressionAttributeValues={":user": {"S": user_id}},
        ScanIndexForward=False,
        Limit=limit,
        **more,
    )
    images = [image_of(item) for item in answer["Items"]]
    last = answer.get("LastEvaluatedKey")
    token = base64.urlsafe_b64encode(json.dumps(last).encode()).decode() if last else None
    return jsonify(images=images, count=len(images), next_token=token, has_more=token is not None)


@app.get("/images/<uuid:image_id>/download-url")
def download_url(image_id):
    found = dynamodb.get_item(TableName=TABLE, Key={"image_id": {"S": str(image_id)}})
    if "Item" not in found:
        abort(404, "There is no such image")
    image = image_of(found["Item"])
    url = s3.generate_presigned_url(
        "get_object",
        Params={
            "Bucket": BUCKET,
            "Key": image["s3_key"],
            "ResponseContentType": image["content_type"],
            "ResponseContentDisposition": "inline",
        },
        ExpiresIn=DOWNLOAD_EXPIRY,
    )
    return jsonify(
        image_id=image["image_id"],
        presigned_url=url,
        expires_in=DOWNLOAD_EXPIRY,
        filename=image["filename"],
        content_type=image["content_type"],
    )


@app.delete("/images/<uuid:image_id>")
def delete_image(image_id):
    user_id = checked_user(request.get_json())
    key = {"image_id": {"S": str(image_id)}}
    found = dynamodb.get_item(TableName=TABLE, Key=key)
    if "Item" not in found:
        abort(404, "There is no such image")
    item = found["Item"]
    if item["user_id"]["S"] != user_id:
        abort(403, "The image is somebody else's")
    s3.delete_object(Bucket=BUCKET, Key=item["s3_key"]["S"])
    dynamodb.delete_item(TableName=TABLE, Key=key)
    return jsonify(image_id=str(image_id), status="deleted", message="Image deleted successfully")
