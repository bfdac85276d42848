"""LocalStack without Docker: functions run as processes, tables live in memory."""
