"""MCP without HTTP: bytes in, Reply out. Never imports aiohttp."""
