"""Cold and warm starts of the Lambda functions, next to plain boto3 handlers."""
