"""The embedded backend: S3 and DynamoDB in a child process, for local use and for tests.

It decides how that process is started, watched and stopped, and which gaps of moto are closed in
it. It knows nothing of buckets, tables or images: whoever uses it creates what it needs.
"""

from service.embedded.supervisor import EmbeddedBackendFailed, embedded_backend

__all__ = ["EmbeddedBackendFailed", "embedded_backend"]
