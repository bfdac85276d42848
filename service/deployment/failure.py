"""What goes wrong with a deployment."""


class DeploymentFailed(Exception):
    """The deployment cannot be done. The message says why, and what to do where that is known."""
