"""Driver and ranks watching each other: the control file, heartbeats, and the one way to leave.

It may import storage/, config/ and stage/.
"""
