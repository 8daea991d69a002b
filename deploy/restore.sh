#!/bin/sh
# Brings the library back into an empty database, whole or not at all: restore.sh FILE
# It is compose.yaml's; or, where PGHOST is set, what PGHOST, PGUSER, PGDATABASE … name. Then: citewire reindex
set -eu

file=${1:?usage: restore.sh FILE}
here=$(cd "$(dirname "$0")" && pwd)
user=${PGUSER:-citewire} database=${PGDATABASE:-citewire}

at_server() {
  if [ -n "${PGHOST:-}" ]; then "$@"; else docker compose -f "$here/compose.yaml" exec -T postgres "$@"; fi
}

tables=$(at_server psql --username "$user" --dbname "$database" --no-psqlrc --tuples-only --no-align \
  --command "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
if [ "$tables" != 0 ]; then
  echo "restore.sh: the database $database is not empty: $tables tables; nothing was changed" >&2
  exit 1
fi
at_server pg_restore --username "$user" --dbname "$database" --no-owner --no-privileges --exit-on-error \
  --single-transaction <"$file"
# What was asked in Slack and open at the moment of the back-up has been answered since, or is asked again.
at_server psql --username "$user" --dbname "$database" --no-psqlrc --quiet --command "
  UPDATE slack_jobs
  SET state = CASE WHEN kind IN ('correction', 'delete') THEN state ELSE 'failed' END, posting = TRUE
  WHERE state IN ('waiting', 'working')"
echo "restored; now bring the vectors up to it: citewire reindex"
