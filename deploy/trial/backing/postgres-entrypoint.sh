#!/bin/bash
# What the upstream image does at its first start, as far as compose relies on it.
set -euo pipefail
if [ "$1" = postgres ] && [ ! -s "$PGDATA/PG_VERSION" ]; then
	mkdir -p "$PGDATA"
	chmod 0700 "$PGDATA"
	read -ra arguments <<<"${POSTGRES_INITDB_ARGS:-}"
	initdb -D "$PGDATA" --username=postgres --pwfile="$POSTGRES_PASSWORD_FILE" "${arguments[@]}"
	echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
	echo "listen_addresses = '*'" >>"$PGDATA/postgresql.conf"
	pg_ctl -D "$PGDATA" -o "-c listen_addresses='' -c unix_socket_directories=/var/run/postgresql" -w start
	for file in /docker-entrypoint-initdb.d/*.sql; do
		psql -v ON_ERROR_STOP=1 --no-psqlrc --no-password --username postgres --host /var/run/postgresql --file "$file"
	done
	pg_ctl -D "$PGDATA" -m fast -w stop
fi
exec "$@" -c unix_socket_directories=/var/run/postgresql
