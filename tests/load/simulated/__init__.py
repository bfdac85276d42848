"""S3 and DynamoDB in memory that charge what AWS charges. Any number of images, real requests."""
