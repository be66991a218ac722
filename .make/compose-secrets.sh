#!/bin/sh
# Makes the secrets that compose.yaml reads, each fresh and random, in .secrets (never committed); leaves those that are
# there alone. The files are readable by the container's user; the folder is closed to everybody else on this machine.
set -eu
cd "$(dirname "$0")/.."

umask 077
mkdir -p .secrets

secret() {
    if [ ! -s ".secrets/$1" ]; then
        printf '%s' "$2" >".secrets/$1"
        printf 'made .secrets/%s\n' "$1"
    fi
    chmod 444 ".secrets/$1"
}

random() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }

secret postgres-password "$(random)"
secret database-url "postgres://jira_scim:$(cat .secrets/postgres-password)@postgres:5432/jira_scim"
secret jira-token "$(random)"
secret scim-token "$(random)"
