"""The three embedded servers: PostgreSQL, Valkey and SeaweedFS, from pip packages."""
