"""Local files of rows, of any format: found, decompressed, read, of one type in every column.

It may import rewards/ (how numbers are written as golds) and the modules of the top below it.
"""
