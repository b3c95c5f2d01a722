"""Engines: where trials are trained. `local` is this machine."""
