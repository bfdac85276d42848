"""What a person reads when the server is up."""

from __future__ import annotations

import os

from service.settings import Settings


def base_url(host: str, port: int) -> str:
    """The address to open."""
    if host in {"0.0.0.0", "::"}:  # shown as what a browser on this machine can open
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


# Python turns the answer's form fields into curl's own configuration, so that no value needs
# quoting by hand; image_id is the answer's first value.
_UPLOAD = (
    """F=photo.jpg; R=$(curl -sS {url}/images/upload-url -H 'Content-Type: application/json' """
    """-d '{{"user_id":"demo","filename":"'"$F"'","content_type":"image/jpeg","""
    """"file_size":'$(wc -c <"$F")'}}') && echo "$R" | python3 -c 'import json,sys; """
    """r=json.load(sys.stdin); print("url="+json.dumps(r["presigned_url"])); """
    """[print("form-string="+json.dumps(k+"="+v)) for k,v in r["fields"].items()]' """
    """| curl -sSf -K - -F "file=@$F" && curl -sS {url}/images/complete """
    """-H 'Content-Type: application/json' """
    """-d '{{"user_id":"demo","image_id":"'$(echo "$R" | cut -d'"' -f4)'"}}'"""
)


def banner(url: str, settings: Settings, *, workers: int, embedded: bool) -> str:
    """Where everything is, and how to begin."""
    endpoint = settings.aws_endpoint_url
    if embedded:
        store = (
            f"embedded, at {endpoint}\n"
            "             IMAGES LIVE IN MEMORY: they are gone when this process stops.\n"
            f"             Other mont commands reach them with AWS_ENDPOINT_URL={endpoint}"
        )
    else:
        store = endpoint or f"AWS, {settings.aws_region}"
    shared = f"  Workers    {workers}; kill -HUP {os.getpid()} renews them\n" if workers > 1 else ""
    return (
        "\nMont Image Service is ready.\n\n"
        f"  Page       {url}/\n"
        f"  API        {url}/images\n"
        f"  API docs   {url}/docs\n"
        f"  Backend    {store}\n{shared}\n"
        f"Upload a photo (photo.jpg here) with curl:\n\n{_UPLOAD.format(url=url)}\n\n"
        "Ctrl-C stops everything.\n"
    )
