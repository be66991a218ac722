#!/usr/bin/env bash
# Plays all stories, keeps what was called and answered, and holds it to Atlassian's OpenAPI documents in the folder $1.
set -eu
cd "$(dirname "$0")/.."
specs=${1:-}
if [ -z "$specs" ] || [ ! -d "$specs" ]; then
    echo "make contract SPECS=<folder with Atlassian's OpenAPI documents>; docs/targets/README.md says which" >&2
    exit 2
fi
specs=$(cd "$specs" && pwd)
journals=$(mktemp -d "${TMPDIR:-/tmp}/jira-scim-contract-XXXXXX")
# The throw-away PostgreSQL and the daemons of some stories run as somebody else.
chmod 777 "$journals"
trap 'rm -rf "$journals"' EXIT INT TERM
JIRA_SCIM_SANDBOX_JOURNAL_DIR=$journals .make/test.sh
CONTRACT_SPECS=$specs CONTRACT_JOURNALS=$journals \
    cargo test --locked --test it -- --exact --ignored --nocapture contract::every_call_of_every_story_fits_atlassians_documents
