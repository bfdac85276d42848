"""POST /images/complete."""

import json
import os
from datetime import UTC, datetime

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

s3 = boto3.client("s3", config=Config(signature_version="s3v4"))
dynamodb = boto3.client("dynamodb")
BUCKET = os.environ["S3_BUCKET_NAME"]
TABLE = os.environ["DYNAMODB_TABLE_NAME"]
JPEG = b"\xff\xd8\xff"
DONE = "Image upload completed successfully"


def handler(event, context):
    body = json.loads(event["body"])
    image_id, user_id = body["image_id"], body["user_id"]
    found = dynamodb.get_item(
        TableName=TABLE, Key={"image_id": {"S": image_id}}, ConsistentRead=True
    )
    if "Item" in found:
        return reply(200, {"image_id": image_id, "status": "completed", "message": DONE})
    staged = f"uploads/{user_id}/{image_id}"
    try:
        upload = s3.get_object(Bucket=BUCKET, Key=staged, Range="bytes=0-65535")
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchKey":
            raise
        return reply(404, {"message": "Nothing was uploaded"})
    head = upload["Body"].read()
    if not head.startswith(JPEG):
        return reply(422, {"message": "Not a JPEG"})
    final = f"images/{user_id}/{image_id}_{body['filename']}"
    s3.copy_object(
        Bucket=BUCKET,
        Key=final,
        CopySource={"Bucket": BUCKET, "Key": staged},
        CopySourceIfMatch=upload["ETag"],
        IfNoneMatch="*",
        MetadataDirective="REPLACE",
        ContentType=upload["ContentType"],
    )
    dynamodb.put_item(
        TableName=TABLE,
        Item={
            "image_id": {"S": image_id},
            "user_id": {"S": user_id},
            "upload_timestamp": {"S": datetime.now(UTC).isoformat()},
            "filename": {"S": body["filename"]},
            "content_type": {"S": upload["ContentType"]},
            "file_size": {"N": str(body["file_size"])},
            "tags": {"L": [{"S": tag} for tag in body.get("tags", [])]},
            "status": {"S": "completed"},
            "s3_key": {"S": final},
        },
        ConditionExpression="attribute_not_exists(image_id)",
    )
    return reply(200, {"image_id": image_id, "status": "completed", "message": DONE})


def reply(status, answer):
    return {
        "statusCode": status,
        "headers": {"Content-Type": "application/json"},
        "body": json.dumps(answer),
    }
