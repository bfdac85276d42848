"""The stores: S3 and DynamoDB behind the ports, and how to make them. Only here is botocore."""
