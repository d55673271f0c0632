"""The plan: a recipe checked before anything starts, every problem at once, and laid out.

It may import arguments/, stage/, config/, rewards/ and plugins/; it imports neither torch nor TRL.
"""
