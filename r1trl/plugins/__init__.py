"""Plugins: found as entry points, modules or files, and what each of them offers by name.

It may import errors, types and hookspecs, and knows no plugin by name.
"""
