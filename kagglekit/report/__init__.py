"""The report: everything that was prepared, trained, searched, blended and sent, in one HTML file.

`source` reads it, each page has a module that computes what a template of its name lays out, and `build`
joins them. The file asks the network for nothing: charts are SVG, sounds are embedded.
"""
