"""The plug-ins by their names; what they load is imported only once LocalStack asks for it."""

from localstack.runtime import hooks
from localstack.services.lambda_.invocation.plugins import RuntimeExecutorPlugin
from localstack.services.plugins import Service, aws_provider


class ProcessExecutorPlugin(RuntimeExecutorPlugin):
    """Chosen by LAMBDA_RUNTIME_EXECUTOR=process."""

    name = "process"

    def load(self, *args: object, **kwargs: object) -> type:
        """Return the executor's class, of which LocalStack makes one for each environment."""
        from mont_localstack.executor import ProcessExecutor

        return ProcessExecutor


@aws_provider(api="dynamodb", name="memory")  # type: ignore[untyped-decorator]
def dynamodb_memory() -> Service:
    """Chosen by PROVIDER_OVERRIDE_DYNAMODB=memory: every call goes to moto, in this process."""
    from mont_localstack.dynamodb import MemoryDynamoDB, one_at_a_time

    return Service.for_provider(MemoryDynamoDB(), dispatch_table_factory=one_at_a_time)


@hooks.on_infra_start()  # type: ignore[untyped-decorator]
def verified_forms() -> None:
    """Always on: S3 verifies the signatures of browser forms."""
    from mont_localstack.s3 import verify_forms

    verify_forms()
