"""An assessment: a plan set before, tests that ran under it, a report that says how it went."""
