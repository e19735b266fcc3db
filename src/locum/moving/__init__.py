"""Moving in and out: dumps and live servers in, everything out again, and backups."""
