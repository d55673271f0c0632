"""What a user sees while a run works: a picture on a terminal, elsewhere a line now and then.

It may import report/ and what that may import, and reads a run's files alone.
"""
