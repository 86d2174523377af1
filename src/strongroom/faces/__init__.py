"""Ways in; they translate and never decide."""
