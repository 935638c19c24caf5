"""New adapters: a folder that is green at once, by hand or drafted from an OpenAPI document."""
