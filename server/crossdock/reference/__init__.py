"""Pages for people about an adapter's tools: what `crossdock docs` writes."""
