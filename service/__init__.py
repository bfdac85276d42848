"""Mont Image Service: images uploaded straight to S3, verified, searchable, served by link."""

__version__ = "0.1.0"
