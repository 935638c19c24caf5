"""The way of a call, from a tool's name to its answer. Knows no HTTP server and no JSON-RPC."""
