"""A self-hosted MCP gateway to logistics systems."""

__version__ = "0.2.0"
