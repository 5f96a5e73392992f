"""Takes datasets over HTTP: the form as it comes, each file through a checking child, and a bound on all of it."""
