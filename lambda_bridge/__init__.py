"""The Lambda door: API Gateway events onto the same pipeline that the aiohttp door runs."""
