"""The child that makes a CTranslate2 Whisper from one of transformers. Files in, files out: no database, no network."""
