"""Small runs that are disturbed while they run, and compared with one that nobody has touched."""
