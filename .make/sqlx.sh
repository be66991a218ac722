#!/usr/bin/env bash
# The metadata of the SQL queries, against the database of DATABASE_URL (see with-postgres.sh).
#   sqlx.sh refresh             writes .sqlx anew
#   sqlx.sh check COMMAND...    compiles with COMMAND and fails when .sqlx is not what it should be
set -eu
cd "$(dirname "$0")/.."

fresh=$(mktemp -d)
trap 'rm -rf -- "$fresh"' EXIT
export SQLX_OFFLINE=false SQLX_OFFLINE_DIR="$fresh"

# The queries are described while their crate is compiled, so it has to be compiled.
touch src/lib.rs src/main.rs tests/it/main.rs

case $1 in
refresh)
    cargo check --locked --all-targets
    mkdir -p .sqlx
    find .sqlx -name 'query-*.json' -delete
    find "$fresh" -name 'query-*.json' -exec cp {} .sqlx/ \;
    echo "$(find .sqlx -name 'query-*.json' | wc -l) queries in .sqlx"
    ;;
check)
    shift
    "$@"
    if ! diff --recursive --brief .sqlx "$fresh"; then
        echo 'the query metadata in .sqlx is not current: make sqlx' >&2
        exit 1
    fi
    ;;
*)
    echo "unknown: $1" >&2
    exit 2
    ;;
esac
