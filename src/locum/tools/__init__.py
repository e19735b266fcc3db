"""Hosted tools: what a run can do by itself. The engine knows one interface, not the tools."""
