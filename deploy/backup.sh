#!/bin/sh
# Backs the library up while all goes on: backup.sh FOLDER
# It is compose.yaml's; or, where PGHOST is set, what PGHOST, PGUSER, PGDATABASE … name. Vectors are made anew from it.
set -eu

folder=${1:?usage: backup.sh FOLDER}
here=$(cd "$(dirname "$0")" && pwd)
user=${PGUSER:-citewire} database=${PGDATABASE:-citewire}

at_server() {
  if [ -n "${PGHOST:-}" ]; then "$@"; else docker compose -f "$here/compose.yaml" exec -T postgres "$@"; fi
}

umask 077
file=$folder/citewire-$(date -u +%Y%m%dT%H%M%SZ).dump
trap 'rm -f "$file.part"' EXIT
at_server pg_dump --username "$user" --format=custom --no-owner --no-privileges "$database" >"$file.part"
at_server pg_restore --list <"$file.part" >/dev/null # what is cut short has no list
sync "$file.part"
mv "$file.part" "$file"
echo "$file"
