"""GET /images/{image_id}/download-url."""

import json
import os

import boto3
from botocore.config import Config

s3 = boto3.client("s3", config=Config(signature_version="s3v4"))
dynamodb = boto3.client("dynamodb")
BUCKET = os.environ["S3_BUCKET_NAME"]
TABLE = os.environ["DYNAMODB_TABLE_NAME"]


def handler(event, context):
    image_id = event["pathParameters"]["image_id"]
    item = dynamodb.get_item(
        TableName=TABLE, Key={"image_id": {"S": image_id}}, ConsistentRead=True
    ).get("Item")
    if item is None:
        return reply(404, {"message": "No such image"})
    filename, content_type = item["filename"]["S"], item["content_type"]["S"]
    url = s3.generate_presigned_url(
        "get_object",
        Params={
            "Bucket": BUCKET,
            "Key": item["s3_key"]["S"],
            "ResponseContentType": content_type,
            "ResponseContentDisposition": f'inline; filename="{filename}"',
        },
        ExpiresIn=900,
    )
    answer = {"image_id": image_id, "presigned_url": url, "expires_in": 900}
    return reply(200, {**answer, "filename": filename, "content_type": content_type})


def reply(status, answer):
    return {
        "statusCode": status,
        "headers": {"Content-Type": "application/json"},
        "body": json.dumps(answer),
    }
