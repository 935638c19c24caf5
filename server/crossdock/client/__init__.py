"""What calls a gateway: the small MCP client, the stdio bridge, and how each client is set up."""
