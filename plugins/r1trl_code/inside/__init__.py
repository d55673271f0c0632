"""What runs inside a sandbox: only the standard library, and nothing that knows the answers."""
