"""FastAPI, pydantic and aiobotocore on uvicorn.

uvicorn fastapi_aiobotocore:app --loop uvloop --http httptools --no-access-log
"""

import base64
import binascii
import json
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID, uuid4

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import ClientError
from fastapi import Body, Depends, FastAPI, HTTPException, Query, Request
from pydantic import BaseModel, Field

BUCKET = os.environ.get("S3_BUCKET_NAME", "mont-images")
TABLE = os.environ.get("DYNAMODB_TABLE_NAME", "ImageMetadata")
INDEX = os.environ.get("DYNAMODB_GSI_NAME", "UserIdTimestampIndex")
REGION = os.environ.get("AWS_REGION", "us-east-1")
UPLOAD_EXPIRY, DOWNLOAD_EXPIRY = 3600, 900

UserId = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9._@+:-]+$")]
Tag = Annotated[str, Field(min_length=1, max_length=50)]
ContentType = Literal["image/jpeg", "image/png", "image/gif", "image/webp", "image/bmp"]


class UploadRequest(BaseModel):
    user_id: UserId
    filename: str = Field(min_length=1, max_length=255)
    content_type: ContentType
    file_size: int = Field(ge=1, le=10_485_760)
    tags: list[Tag] = Field(default_factory=list, max_length=20)
    description: str | None = Field(default=None, max_length=500)


class CompleteRequest(UploadRequest):
    image_id: UUID


class DeleteRequest(BaseModel):
    user_id: UserId


class UploadTicket(BaseModel):
    image_id: str
    presigned_url: str
    fields: dict[str, str]
    expires_in: int
    s3_key: str


class Outcome(BaseModel):
    image_id: str
    status: str
    message: str


class DownloadLink(BaseModel):
    image_id: str
    presigned_url: str
    expires_in: int
    filename: str
    content_type: str


class Image(BaseModel):
    image_id: str
    user_id: str
    filename: str
    content_type: str
    file_size: int
    upload_timestamp: str
    tags: list[str]
    description: str | None
    status: str
    s3_key: str


class ImageList(BaseModel):
    images: list[Image]
    count: int
    next_token: str | None
    has_more: bool


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    session = get_session()
    config = AioConfig(signature_version="s3v4", max_pool_connections=100)
    async with AsyncExitStack() as stack:
        app.state.s3 = await stack.enter_async_context(
            session.create_client("s3", region_name=REGION, config=config)
        )
        app.state.dynamodb = await stack.enter_async_context(
            session.create_client(
                "dynamodb", region_name=REGION, config=AioConfig(max_pool_connections=100)
            )
        )
        yield


app = FastAPI(title="Images", lifespan=lifespan)


async def s3_client(request: Request) -> Any:
    return request.app.state.s3


async def dynamodb_client(request: Request) -> Any:
    return request.app.state.dynamodb


S3 = Annotated[Any, Depends(s3_client)]
DynamoDB = Annotated[Any, Depends(dynamodb_client)]


def key_of(user_id: str, image_id: str, filename: str) -> str:
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in filename)
    return f"images/{user_id}/{image_id}_{safe}"


def image_of(item: dict[str, Any]) -> Image:
    return Image(
        image_id=item["image_id"]["S"],
        user_id=item["user_id"]["S"],
        filename=item["filename"]["S"],
        content_type=item["content_type"]["S"],
        file_size=int(item["file_size"]["N"]),
        upload_timestamp=item["upload_timestamp"]["S"],
        tags=[tag["S"] for tag in item["tags"]["L"]],
        description=item["description"]["S"] if "description" in item else None,
        status=item["status"]["S"],
        s3_key=item["s3_key"]["S"],
    )


@app.post("/images/upload-url")
async def upload_url(body: UploadRequest, s3: S3) -> UploadTicket:
    image_id = str(uuid4())
    key = key_of(body.user_id, image_id, body.filename)
    post = await s3.generate_presigned_post(
        BUCKET,
        key,
        Fields={"Content-Type": body.content_type},
        Conditions=[
            {"Content-Type": body.content_type},
            ["content-length-range", body.file_size, body.file_size],
        ],
        ExpiresIn=UPLOAD_EXPIRY,
    )
    return UploadTicket(
        image_id=image_id,
        presigned_url=post["url"],
        fields=post["fields"],
        expires_in=UPLOAD_EXPIRY,
        s3_key=key,
    )


@app.post("/images/complete")
async def complete(body: CompleteRequest, s3: S3, dynamodb: DynamoDB) -> Outcome:
    image_id = str(body.image_id)
    key = key_of(body.user_id, image_id, body.filename)
    try:
        head = await s3.head_object(Bucket=BUCKET, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"404", "NoSuchKey"}:
            raise
        raise HTTPException(404, "Nothing was uploaded") from error
    if head["ContentLength"] != body.file_size or head["ContentType"] != body.content_type:
        raise HTTPException(422, "The upload is not what was declared")
    item = {
        "image_id": {"S": image_id},
        "user_id": {"S": body.user_id},
        "filename": {"S": body.filename},
        "content_type": {"S": body.content_type},
        "file_size": {"N": str(body.file_size)},
        "upload_timestamp": {"S": datetime.now(UTC).isoformat()},
        "tags": {"L": [{"S": tag} for tag in body.tags]},
        "status": {"S": "completed"},
        "s3_key": {"S": key},
    }
    if body.description is not None:
        item["description"] = {"S": body.description}
    with suppress(dynamodb.exceptions.ConditionalCheckFailedException):  # completed before
        await dynamodb.put_item(
            TableName=TABLE, Item=item, ConditionExpression="attribute_not_exists(image_id)"
        )
    return Outcome(
        image_id=image_id, status="completed", message="Image upload completed successfully"
    )


@app.get("/images")
async def list_images(
    dynamodb: DynamoDB,
    user_id: UserId,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    next_token: str | None = None,
) -> ImageList:
    more: dict[str, Any] = {}
    if next_token is not None:
        try:
            more["ExclusiveStartKey"] = json.loads(base64.urlsafe_b64decode(next_token))
        except (binascii.Error, ValueError) as error:
            raise HTTPException(400, "next_token is not one of ours") from error
    answer = await dynamodb.query(
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
    return ImageList(images=images, count=len(images), next_token=token, has_more=token is not None)


@app.get("/images/{image_id}/download-url")
async def download_url(image_id: UUID, s3: S3, dynamodb: DynamoDB) -> DownloadLink:
    found = await dynamodb.get_item(TableName=TABLE, Key={"image_id": {"S": str(image_id)}})
    if "Item" not in found:
        raise HTTPException(404, "There is no such image")
    image = image_of(found["Item"])
    url = await s3.generate_presigned_url(
        "get_object",
        Params={
            "Bucket": BUCKET,
            "Key": image.s3_key,
            "ResponseContentType": image.content_type,
            "ResponseContentDisposition": "inline",
        },
        ExpiresIn=DOWNLOAD_EXPIRY,
    )
    return DownloadLink(
        image_id=image.image_id,
        presigned_url=url,
        expires_in=DOWNLOAD_EXPIRY,
        filename=image.filename,
        content_type=image.content_type,
    )


@app.delete("/images/{image_id}")
async def delete_image(
    image_id: UUID, body: Annotated[DeleteRequest, Body()], s3: S3, dynamodb: DynamoDB
) -> Outcome:
    key = {"image_id": {"S": str(image_id)}}
    found = await dynamodb.get_item(TableName=TABLE, Key=key)
    if "Item" not in found:
        raise HTTPException(404, "There is no such image")
    item = found["Item"]
    if item["user_id"]["S"] != body.user_id:
        raise HTTPException(403, "The image is somebody else's")
    await s3.delete_object(Bucket=BUCKET, Key=item["s3_key"]["S"])
    await dynamodb.delete_item(TableName=TABLE, Key=key)
    return Outcome(image_id=str(image_id), status="deleted", message="Image deleted successfully")
