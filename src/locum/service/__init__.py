"""One function per operation of the API: the promises live here, and no HTTP."""
