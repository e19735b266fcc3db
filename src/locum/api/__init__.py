"""HTTP and nothing else: the table of routes, and what turns a request into an operation."""
