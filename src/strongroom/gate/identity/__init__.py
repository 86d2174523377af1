"""People, their keys and their sign-in."""
