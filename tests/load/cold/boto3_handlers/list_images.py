"""GET /images."""

import json
import os

import boto3

dynamodb = boto3.client("dynamodb")
TABLE = os.environ["DYNAMODB_TABLE_NAME"]
INDEX = os.environ["DYNAMODB_GSI_NAME"]
PLAIN = (
    *("image_id", "user_id", "filename", "content_type", "upload_timestamp"),
    *("description", "status", "s3_key", "etag"),
)
NUMBERS = ("file_size", "width", "height")


def handler(event, context):
    query = event.get("queryStringParameters") or {}
    page = dynamodb.query(
        TableName=TABLE,
        IndexName=INDEX,
        KeyConditionExpression="user_id = :user AND upload_timestamp BETWEEN :start AND :end",
        ExpressionAttributeValues={
            ":user": {"S": query["user_id"]},
            ":start": {"S": query.get("start_date", "0")},
            ":end": {"S": query.get("end_date", "9")},
        },
        ScanIndexForward=False,
        Limit=int(query.get("limit", 50)),
    )
    images = [image(item) for item in page["Items"]]
    last = page.get("LastEvaluatedKey")
    answer = {
        "images": images,
        "count": len(images),
        "next_token": json.dumps(last) if last else None,
        "has_more": last is not None,
    }
    return {
        "statusCode": 200,
        "headers": {"Content-Type": "application/json"},
        "body": json.dumps(answer),
    }


def image(item):
    values = {name: item[name]["S"] if name in item else None for name in PLAIN}
    values |= {name: int(item[name]["N"]) for name in NUMBERS}
    return {**values, "tags": [tag["S"] for tag in item["tags"]["L"]]}
