"""Charts as SVG text, for the HTML report and as files: scatter, bars, curves, matrices, parallel axes."""
