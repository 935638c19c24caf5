"""A self-hosted MCP gateway to logistics systems."""

__version__ = "0.1.0"
