"""DELETE /images/{image_id}."""

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


def handler(event, context):
    image_id = event["pathParameters"]["image_id"]
    user_id = json.loads(event["body"])["user_id"]
    key = {"image_id": {"S": image_id}}
    try:
        item = dynamodb.update_item(
            TableName=TABLE,
            Key=key,
            UpdateExpression=(
                "SET #status = :deleting, deleting_since = :now "
                "REMOVE upload_timestamp, timeline_shard"
            ),
            ConditionExpression="user_id = :user AND #status = :completed",
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues={
                ":user": {"S": user_id},
                ":completed": {"S": "completed"},
                ":deleting": {"S": "deleting"},
                ":now": {"S": datetime.now(UTC).isoformat()},
            },
            ReturnValues="ALL_OLD",
        )["Attributes"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
        return reply(404, {"message": "No such image"})
    s3.delete_objects(
        Bucket=BUCKET,
        Delete={
            "Objects": [{"Key": item["s3_key"]["S"]}, {"Key": f"uploads/{user_id}/{image_id}"}],
            "Quiet": True,
        },
    )
    dynamodb.delete_item(
        TableName=TABLE,
        Key=key,
        ConditionExpression="#status = :deleting",
        ExpressionAttributeNames={"#status": "status"},
        ExpressionAttributeValues={":deleting": {"S": "deleting"}},
    )
    message = "Image deleted successfully"
    return reply(200, {"image_id": image_id, "status": "deleted", "message": message})


def reply(status, answer):
    return {
        "statusCode": status,
        "headers": {"Content-Type": "application/json"},
        "body": json.dumps(answer),
    }
