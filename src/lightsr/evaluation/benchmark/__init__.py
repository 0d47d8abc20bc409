"""The comparison table: every network's measured figures beside the published ones.

`run.benchmark` makes it. `contenders` finds what is to be compared, `quality` and `cost` measure it
through `cache`, `results` holds the outcome, and `text`, `plots`, `sheet` and `page` show it.
"""
