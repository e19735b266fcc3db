"""Traces: what a span is, who asked for a run, and where finished spans go."""
