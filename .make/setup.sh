#!/bin/sh
# Installs what building and testing needs and this machine lacks, and says so; changes nothing when all is there.
# With the argument `browser` also what the tests of the admin page drive, with `ldap` the directory server of other tests
# and of a demo, with `samba` a domain controller.
# Exit codes: 0 all there, 1 something could not be installed, 3 no suitable cargo.
set -eu
cd "$(dirname "$0")/.."

oldest_postgres=14
common_conf=/etc/postgresql-common/createcluster.conf

say() { printf 'setup: %s\n' "$*" >&2; }
has() { command -v "$1" >/dev/null 2>&1; }

# Is version $1 at least $2?
at_least() {
    [ "$(printf '%s\n%s\n' "$2" "$1" | sort -t. -k1,1n -k2,2n -k3,3n | head -n 1)" = "$2" ]
}

check_cargo() {
    wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    found=$(cargo --version 2>/dev/null | awk '{ print $2 }' | sed 's/-.*//') || found=
    if [ -n "$found" ] && at_least "$found" "$wanted"; then
        return
    fi
    if [ -n "$found" ] && has rustup; then
        command='rustup update stable && rustup default stable'
    else
        sudo=
        [ "$(id -u)" = 0 ] || sudo='sudo '
        command="curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal"
        if ! has curl; then
            command="${sudo}apt-get update && ${sudo}apt-get install -y curl ca-certificates && $command"
        fi
    fi
    say "Rust $wanted or newer is needed, and ${found:-none} is here. Run this, then repeat:"
    printf '\n    %s\n\n' "$command" >&2
    exit 3
}

# Can a C program be compiled and linked?
has_linker() {
    scratch=$(mktemp -d)
    printf '#include <stdlib.h>\nint main(void) { return EXIT_SUCCESS; }\n' >"$scratch/probe.c"
    if cc -o "$scratch/probe" "$scratch/probe.c" >/dev/null 2>&1; then linked=0; else linked=1; fi
    rm -rf "$scratch"
    return "$linked"
}

# An OpenLDAP server, which tests start themselves, and the command that changes it.
has_ldap() { [ -x /usr/sbin/slapd ] && has ldapmodify; }

# Samba as a domain controller, and what a domain is made of. Tests that find none say that they were not run.
has_samba() { [ -x /usr/sbin/samba ] && [ -e /usr/share/samba/setup/provision.ldif ]; }

# The tests of the admin page drive Chromium; nothing else needs it.
has_browser() { has chromedriver && has chromium; }

has_postgres() { .make/postgres-bin.sh "$oldest_postgres" >/dev/null 2>&1; }

# Runs a command as root.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif has sudo; then
        sudo "$@"
    else
        say "this needs root, and there is no sudo; run as root: $*"
        exit 1
    fi
}

install_packages() {
    as_root env DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1 apt-get install -y --no-install-recommends "$@" >&2
}

restore_conf() {
    if [ -n "${saved:-}" ] && [ -f "$saved" ]; then
        as_root cp "$saved" "$common_conf"
        rm -f "$saved"
    fi
}

# The server's programs, without the cluster that Debian's package makes and starts on port 5432: the common package
# first, then, while its configuration says so, the server; then the configuration is as it was.
install_postgres() {
    install_packages postgresql-common
    saved=$(mktemp)
    cat "$common_conf" >"$saved"
    trap restore_conf EXIT
    trap 'exit 1' INT TERM HUP
    printf '\ncreate_main_cluster = false\n' | as_root tee -a "$common_conf" >/dev/null
    install_packages postgresql
    restore_conf
    trap - EXIT INT TERM HUP
}

# Whether there is such a package.
is_package() { apt-cache show "$1" >/dev/null 2>&1; }

# Samba's programs: nothing is started while they are installed, nor with the machine later, unless somebody had a file server here.
install_samba() {
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap 'as_root rm -f "$policy"' EXIT
        trap 'exit 1' INT TERM HUP
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
    fi
    # Older releases have fewer packages with more in them.
    packages=samba
    for package in $samba_packages; do
        if is_package "$package"; then packages="$packages $package"; fi
    done
    if [ -x /usr/sbin/smbd ]; then services=; else services='smbd nmbd winbind samba-ad-dc'; fi
    # shellcheck disable=SC2086
    install_packages $packages
    for service in $services; do as_root systemctl disable --quiet "$service" >/dev/null 2>&1 || :; done
}
samba_packages='samba-ad-dc samba-ad-provision samba-dsdb-modules samba-vfs-modules python3-samba'

# The server's programs, without the directory that Debian's package makes, and without starting it.
install_ldap() {
    printf 'slapd slapd/no_configuration boolean true\n' | as_root debconf-set-selections
    install_packages slapd ldap-utils
}

check_cargo
linker=
postgres=
browser=
ldap=
samba=
wants() { case " $wanted_extras " in *" $1 "*) ;; *) return 1 ;; esac; }
wanted_extras="$*"
has_linker || linker=yes
has_postgres || postgres=yes
! wants browser || has_browser || browser=yes
! wants ldap || has_ldap || ldap=yes
! wants samba || has_samba || samba=yes
if [ -z "$linker$postgres$browser$ldap$samba" ]; then
    exit 0
fi

[ -z "$linker" ] || say 'missing here: a C linker'
[ -z "$postgres" ] || say 'missing here: the PostgreSQL server programs'
[ -z "$browser" ] || say 'missing here: chromium and chromedriver, for the tests of the admin page'
[ -z "$ldap" ] || say 'missing here: slapd and ldap-utils, for the tests of directories that are read'
[ -z "$samba" ] || say 'missing here: samba as a domain controller, for the tests of Active Directory'
if ! has apt-get && [ -z "$linker$postgres$browser$ldap" ]; then
    say 'this is neither Debian nor Ubuntu: without samba the tests of Active Directory are not run, and say so'
    exit 0
fi
if ! has apt-get; then
    say "this is neither Debian nor Ubuntu: please install a C compiler, PostgreSQL $oldest_postgres or newer (initdb, postgres) and, for the tests, chromium with chromedriver, OpenLDAP with its server, and Samba as a domain controller"
    exit 1
fi
if [ -n "$linker" ]; then say 'installing with apt-get: gcc libc6-dev'; fi
if [ -n "$postgres" ]; then
    say 'installing with apt-get: postgresql (its programs only: no cluster is made or started, port 5432 stays free)'
fi
if [ -n "$browser" ]; then say 'installing with apt-get: chromium chromium-driver'; fi
if [ -n "$ldap" ]; then
    say 'installing with apt-get: slapd ldap-utils (its programs only: no server is set up or started, port 389 stays free)'
fi
if [ -n "$samba" ]; then
    say "installing with apt-get: samba $samba_packages (programs only: no service is set up, started or enabled)"
fi
as_root apt-get update >&2
if [ -n "$linker" ]; then install_packages gcc libc6-dev; fi
if [ -n "$postgres" ]; then install_postgres; fi
if [ -n "$browser" ]; then install_packages chromium chromium-driver; fi
if [ -n "$ldap" ]; then install_ldap; fi
if [ -n "$samba" ]; then install_samba; fi

has_linker || { say 'a C program still cannot be linked'; exit 1; }
has_postgres || {
    say "PostgreSQL $oldest_postgres or newer is still not here: this system is too old; see https://www.postgresql.org/download/"
    exit 1
}
if wants browser && ! has_browser; then
    say 'chromium and chromedriver are still not here'
    exit 1
fi
if wants ldap && ! has_ldap; then
    say 'slapd and ldapmodify are still not here'
    exit 1
fi
if wants samba && ! has_samba; then
    say 'samba is still not here: the tests of Active Directory are not run, and say so'
    exit 0
fi
say 'all is there now'
