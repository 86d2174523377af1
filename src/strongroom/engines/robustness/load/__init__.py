"""What the worst inputs cost a model, and what it says to them: denial of service by content."""
