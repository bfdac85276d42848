"""DynamoDB in LocalStack's own process, where its own provider would start a Java program."""

from localstack.aws.api.dynamodb import DynamodbApi
from localstack.services.plugins import ServiceLifecycleHook
from localstack.state import StateVisitor


class MemoryDynamoDB(DynamodbApi, ServiceLifecycleHook):
    """Implements no call itself: what a provider leaves out, the dispatcher passes to moto."""

    def accept_state_visitor(self, visitor: StateVisitor) -> None:
        """Show moto's tables to LocalStack, so that its state endpoint can reset them."""
        from moto.dynamodb.models import dynamodb_backends

        visitor.visit(dynamodb_backends)
