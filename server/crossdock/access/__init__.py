"""The door: tokens and grants."""
