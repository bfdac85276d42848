"""The five core functions as somebody would write them with boto3 and nothing else.

Each is a module of its own with just the clients that it needs, made while it loads: the quickest
start that this way of writing them has. They make the same calls to the stores as the service's
functions, in the same order; what else the service does (problems, metrics, cursors, two doors)
they leave out.
"""
