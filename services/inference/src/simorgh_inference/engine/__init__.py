"""The engine child: one loaded model behind a Unix socket. Pure: no web, database, queue or settings."""
