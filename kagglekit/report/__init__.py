"""The HTML report: `source` reads the workspace, each page is a module and a template, `build` joins them."""
