"""The aiohttp door: HTTP messages to neutral requests and back, on connections that it looks after.

It decides who may hold a connection and for how long, and when there are too many requests to take
on another; all else is the pipeline's. The pipeline routes by its own rules and makes whole
answers, so this is aiohttp's low-level server and parser, without its router and its responses.
"""

from service.web.connections import make_server
from service.web.listening import listening

__all__ = ["listening", "make_server"]
