"""What AWS counts, by the names that the prices have."""

from __future__ import annotations

from typing import Literal

Quantity = Literal[
    "dynamodb_read_unit",
    "dynamodb_write_unit",
    "dynamodb_gb_month",
    "dynamodb_backup_gb_month",
    "s3_put",
    "s3_get",
    "s3_gb_month",
    "lambda_request",
    "lambda_gb_second",
    "api_gateway_request",
    "transfer_out_gb",
]

GB = 2**30
