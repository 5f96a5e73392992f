"""The voice engine child: warm models behind a Unix socket. Pure: no web, database, queue or settings."""
