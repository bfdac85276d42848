"""The way to AWS: the package that Lambda runs, and the stacks around it.

Nothing that serves a request imports this, and none of it is in the package that it builds.
"""
