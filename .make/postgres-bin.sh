#!/bin/sh
# Prints the folder with the PostgreSQL server's programs, of version $1 or newer; fails when there is none.
set -eu

candidates() {
    old_ifs=$IFS
    IFS=:
    for dir in $PATH; do printf '%s\n' "$dir"; done
    IFS=$old_ifs
    pg_config --bindir 2>/dev/null || true
    for dir in /usr/lib/postgresql/*/bin; do printf '%s\n' "$dir"; done | sort -t/ -k5,5nr
    for dir in /usr/pgsql-*/bin /usr/libexec/postgresql* /opt/homebrew/opt/postgresql*/bin /usr/local/opt/postgresql*/bin; do
        printf '%s\n' "$dir"
    done
}

candidates | while IFS= read -r dir; do
    if [ -x "$dir/initdb" ] && [ -x "$dir/postgres" ]; then
        major=$("$dir/postgres" --version | sed -n 's/^postgres (PostgreSQL) \([0-9]*\).*/\1/p')
        if [ "${major:-0}" -ge "$1" ]; then
            printf '%s\n' "$(dirname "$(readlink -f "$dir/postgres")")"
            break
        fi
    fi
done | grep .
