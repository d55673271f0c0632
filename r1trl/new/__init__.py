"""Begins a plugin or a recipe of somebody's own: files that work, copied from templates/.

It may import the config, plugins and the catalog.
"""
