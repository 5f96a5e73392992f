"""The commands of `simorgh`, a module each: they read options, call the API and show what came of it."""
