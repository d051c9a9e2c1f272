"""Serving: scores over HTTP and the command line. Imports `model`; only `cli` sees `training`."""
