"""The database: schema, migrations and every query. SQL stands here and nowhere else."""
