"""The article store in SQL, its schema and migrations, and backups of a data directory."""
