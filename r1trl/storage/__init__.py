"""Files that survive a kill and a full disk: written whole or not at all, and known by digests.

It may import errors.py and process. What r1trl writes goes through this folder.
"""
