"""From a value to a matplotlib figure, one module per picture; no arithmetic of results, no files."""
