"""Reports of findings: as JSON, and as one page with pictures; no personal value in either."""
