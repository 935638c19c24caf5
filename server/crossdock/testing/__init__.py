"""The contract kit for authors of adapters, under SemVer: a contract, fixtures, sandboxes."""
