"""Charts as SVG, written by hand: no plotting library, and a diff shows what moved.

The report shows them inline, where its stylesheet gives the colours; a file of its own brings them along.
"""
