"""One asyncio process runs a team of AI workers on one API key."""
