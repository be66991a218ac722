#!/usr/bin/env bash
# Runs a command with DATABASE_URL of a throw-away PostgreSQL that has every migration, and takes it away again. It needs
# nothing that has to be compiled, so that it works when the query metadata is out of date.
set -eu
cd "$(dirname "$0")/.."

bin=$(.make/postgres-bin.sh 14) || { echo 'no PostgreSQL server programs here: make setup' >&2; exit 1; }
home=$(mktemp -d /tmp/jira-scim-sqlx-XXXXXX)
server=

# PostgreSQL refuses to run as root.
unprivileged() {
    if [ "$(id -u)" = 0 ]; then
        runuser -u postgres -- "$@"
    else
        "$@"
    fi
}

cleanup() {
    trap '' INT TERM HUP
    if [ -n "$server" ]; then
        unprivileged "$bin/pg_ctl" stop --pgdata "$home/data" --mode immediate >/dev/null 2>&1 || true
        wait "$server" 2>/dev/null || true
    fi
    rm -rf -- "$home"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

if [ "$(id -u)" = 0 ]; then chown postgres "$home"; fi
(cd / && unprivileged "$bin/initdb" --pgdata "$home/data" --username jira_scim --auth trust --encoding UTF8 --locale C --no-sync) >/dev/null
(cd / && unprivileged "$bin/postgres" -D "$home/data" -c listen_addresses= -c unix_socket_directories="$home" \
    -c unix_socket_permissions=0700 -c port=5432 -c fsync=off) >"$home/log" 2>&1 &
server=$!
tries=0
until "$bin/pg_isready" --quiet --host "$home" --port 5432; do
    tries=$((tries + 1))
    if [ "$tries" -gt 300 ] || ! kill -0 "$server" 2>/dev/null; then
        cat "$home/log" >&2
        exit 1
    fi
    sleep 0.1
done
for migration in migrations/*.sql; do
    "$bin/psql" --quiet --no-psqlrc --host "$home" --port 5432 --username jira_scim --dbname postgres \
        --set ON_ERROR_STOP=1 --single-transaction --file "$migration" >/dev/null
done
DATABASE_URL="postgres://jira_scim@localhost:5432/postgres?host=$home" "$@"
