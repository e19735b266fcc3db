"""What people see of runs in a terminal: one as a tree, or all of them as they happen."""
