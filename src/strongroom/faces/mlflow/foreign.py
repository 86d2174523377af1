"""A name for what comes from MLflow, whose classes have no types that we could check against."""

from typing import Any

Foreign = Any
"""An object of MLflow's, or an argument that only MLflow's code looks at."""
