"""The report of a run: the scoreboard, the stages, curves and completions, as Markdown and HTML.

It may import stage/ and watch/, and reads a run's files alone. The page is page.html, page.css and
its scripts, put together by page.py; those of SHARED serve the page of compare/ too.
"""
