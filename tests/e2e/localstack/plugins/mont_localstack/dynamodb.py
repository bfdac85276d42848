"""DynamoDB in LocalStack's own process, where its own provider would start a Java program."""

import threading
from collections.abc import Callable
from typing import Any

from localstack.aws.api.dynamodb import DynamodbApi
from localstack.aws.skeleton import DispatchTable
from localstack.services.moto import MotoFallbackDispatcher
from localstack.services.plugins import ServiceLifecycleHook
from localstack.state import StateVisitor


class MemoryDynamoDB(DynamodbApi, ServiceLifecycleHook):
    """Implements no call itself: what a provider leaves out, the dispatcher passes to moto."""

    def accept_state_visitor(self, visitor: StateVisitor) -> None:
        """Show moto's tables to LocalStack, so that its state endpoint can reset them."""
        from moto.dynamodb.models import dynamodb_backends

        visitor.visit(dynamodb_backends)


def one_at_a_time(provider: MemoryDynamoDB) -> DispatchTable:
    """Moto's calls, each in its turn: moto checks a condition and writes without any lock."""
    turn = threading.Lock()

    def in_turn(call: Callable[..., Any]) -> Callable[..., Any]:
        def wait_and_call(*arguments: Any) -> Any:
            with turn:
                return call(*arguments)

        return wait_and_call

    calls = MotoFallbackDispatcher(provider)
    return {name: in_turn(call) for name, call in calls.items()}
