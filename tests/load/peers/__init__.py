"""The same five routes as users of other frameworks write them: not one line of the service."""
