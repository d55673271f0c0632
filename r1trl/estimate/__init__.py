"""What a stage needs and takes, calculated before it runs: memory of a GPU, tokens and hours.

It may import plan/ and what plan/ imports; torch never: plans are made where there is none.
"""
