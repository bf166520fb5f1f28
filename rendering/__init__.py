"""From the facts to dist/: rendering, replacing, comparing, vendoring and validation."""
