#!/usr/bin/env bash
# Runs the tests (those whose name contains $1, or all) and leaves no process and no folder behind, also when they fail or
# are interrupted. Ends with one summary line.
set -u
cd "$(dirname "$0")/.."

# Everything that the tests make lies here, and everything that they start has this in its environment or command line.
scratch=$(mktemp -d "${TMPDIR:-/tmp}/jira-scim-test-XXXXXX") || exit 1
# As root, the throw-away PostgreSQL runs as somebody else, who must be able to pass.
chmod 711 "$scratch"
group=

# The processes of this run, by that mark.
left() {
    local process
    for process in /proc/[0-9]*; do
        if { tr '\0' '\n' <"$process/environ"; tr '\0' '\n' <"$process/cmdline"; } 2>/dev/null | grep -qF -- "$scratch"; then
            printf '%s\n' "${process#/proc/}"
        fi
    done
}

# Waits for them, a tenth of a second at a time.
gone_after() {
    local tries=$1
    while [ -n "$(left)" ]; do
        [ "$tries" -gt 0 ] || return 1
        tries=$((tries - 1))
        sleep 0.1
    done
}

cleanup() {
    trap '' INT TERM HUP
    if [ -n "$group" ]; then kill -TERM -- "-$group" 2>/dev/null; fi
    # The throw-away servers end by themselves when their tests have ended.
    if ! gone_after 50; then
        left | xargs -r kill -TERM 2>/dev/null
        if ! gone_after 50; then
            left | xargs -r kill -KILL 2>/dev/null
            gone_after 20
        fi
    fi
    rm -rf -- "$scratch"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

# A line for all test binaries together; cargo prints one for each. A test that finds no Samba here, or may not make the namespaces
# for it, says that it was not run, which cargo counts as passed.
summary='
    /not run: .* cannot be provisioned here/ { unrun += 1 }
    /^test result:/ {
        for (i = 1; i < NF; i++) {
            if ($(i + 1) ~ /^passed/) passed += $i
            if ($(i + 1) ~ /^failed/) failed += $i
            if ($(i + 1) ~ /^ignored/) ignored += $i
        }
        if ($3 !~ /^ok/) bad = 1
    }
    END {
        result = (bad || status != 0) ? "FAILED" : "ok"
        skipped = unrun ? sprintf("; %d not run", unrun) : ""
        printf "\ntest result: %s. %d passed; %d failed; %d ignored%s (all binaries)\n", result, passed - unrun, failed, ignored, skipped
    }
'

# Built first, so that the tests start at once and a failed build is not a failed test.
cargo test --locked --all-targets --no-run || exit 1

# In a process group of its own, so that all of it can be ended at once.
set -m
env TMPDIR="$scratch" cargo test --locked --all-targets --no-fail-fast -- ${1:+"$1"} >"$scratch/log" 2>&1 </dev/null &
group=$!
set +m
tail -n +1 -f --pid="$group" "$scratch/log" &
follower=$!
wait "$group"
status=$?
group=
wait "$follower"
awk -v status="$status" "$summary" "$scratch/log"
exit "$status"
