"""Python for runs: sessions, files and outputs, behind walls."""
