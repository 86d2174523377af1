"""What is known of each semantic type: one file per family, one `Rule` per type."""
