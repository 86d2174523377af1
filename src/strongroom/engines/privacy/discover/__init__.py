"""Finding personal data in tables: what each column holds, how sure, and on what evidence."""
