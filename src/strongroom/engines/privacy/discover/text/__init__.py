"""Personal data in running text: where it stands, of which type, and how sure."""
