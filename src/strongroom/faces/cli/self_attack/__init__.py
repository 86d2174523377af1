"""`strongroom attack --self`: attacks that servers of models have known, on a live instance."""
