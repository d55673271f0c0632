"""The code that runs inside a sandbox: it needs only the standard library and has no answers."""
