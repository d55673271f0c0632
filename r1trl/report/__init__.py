"""The report of a run: the scoreboard, the stages, curves and completions, as Markdown and HTML.

It may import stage/ and watch/, and reads a run's files alone. The page is page.html, page.css and
the scripts page.js, drawing.js and completions.js, put together by page.py.
"""
