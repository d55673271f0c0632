"""What observes a stage while it goes on: trackers, each in a thread of its own, and hooks.

It may import the contract, plugins/, storage/, stage/, identity/ and process/, and is below
whatever has something to tell.
"""
