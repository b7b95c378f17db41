# shellcheck shell=bash
# PostgreSQL: as Debian packages it, or whatever is on the PATH.

postgres_programs() {
    local newest
    newest=$(printf '%s\n' /usr/lib/postgresql/*/bin/postgres | sort -V | tail -n 1)
    if [[ -x $newest ]]; then
        dirname "$newest"
    elif command -v postgres >/dev/null; then
        dirname "$(command -v postgres)"
    fi
}

postgres_needs() {
    [[ -n $(postgres_programs) ]] || need_package postgresql
}

postgres_check() {
    need_version PostgreSQL 15 ' ([0-9]+)' "$("$(postgres_programs)/postgres" --version)"
}

# PostgreSQL refuses to run as root.
as_postgres() {
    if ((EUID == 0)); then
        setpriv --reuid postgres --regid postgres --init-groups "$@"
    else
        "$@"
    fi
}

postgres_data() {
    printf '%s/data\n' "$(service_folder "$1")"
}

postgres_prepare() {
    postgres_check
    claim_port "$1"
    [[ -e $(service_folder "$1")/created ]] || postgres_init
    postgres_configure "$1"
}

postgres_init() {
    local data log
    data=$(postgres_data postgres)
    log=$(service_folder postgres)/initdb.log
    postgres_purge postgres
    postgres_make_data postgres
    (cd / && as_postgres "$(postgres_programs)/initdb" -D "$(realpath "$data")" -U onair --auth=trust \
        --encoding=UTF8 --locale=C.UTF-8 --no-instructions) >"$log" 2>&1 || {
        tail -n 20 "$log" >&2
        fail "initdb failed, see $log"
    }
    # initdb writes its control file long before its end: one that was interrupted begins again
    touch "$(service_folder postgres)/created"
}

# The folder may lie where only root can go, such as /root: then the data are elsewhere, behind a link.
postgres_make_data() {
    local data elsewhere
    data=$(postgres_data "$1")
    if ((EUID != 0)); then
        mkdir -m 700 "$data"
        return
    fi
    if as_postgres test -x "$(service_folder "$1")"; then
        install -d -m 700 -o postgres -g postgres "$data"
    else
        elsewhere=$(mktemp -d /var/tmp/onair-postgres.XXXXXX)
        chown postgres:postgres "$elsewhere"
        ln -s "$elsewhere" "$data"
    fi
}

postgres_configure() {
    cat >"$(postgres_data "$1")/postgresql.conf" <<END
listen_addresses = '127.0.0.1'
port = $(port_of "$1")
# the path of a socket has a limit that a long folder breaks
unix_socket_directories = ''
max_connections = 200
fsync = ${ONAIR_SERVICES_SYNC:-on}
synchronous_commit = on
full_page_writes = on
max_wal_size = 2GB
# a replica that stays away does not fill the disk
max_slot_wal_keep_size = 2GB
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %d '
END
}

postgres_launch() {
    local data
    data=$(realpath "$(postgres_data "$1")")
    postgres_wait_alone "$data"
    # Where nobody reaps, a killed server stays as a zombie and PostgreSQL takes its pid for a live one.
    rm -f "$data/postmaster.pid"
    local -a command=("$(postgres_programs)/postgres" -D "$data")
    if ((EUID == 0)); then
        command=(setpriv --reuid postgres --regid postgres --init-groups "${command[@]}")
    fi
    spawn "$1" "${command[@]}"
}

# Backends outlive for a moment a server that somebody killed; all work in the data folder.
postgres_wait_alone() {
    local data=$1 deadline=$((SECONDS + 10))
    while postgres_works_in "$data"; do
        ((SECONDS < deadline)) || fail "another PostgreSQL works in $data"
        sleep 0.05
    done
}

postgres_works_in() {
    local path
    for path in /proc/[0-9]*/cwd; do
        [[ $(readlink "$path" 2>/dev/null) != "$1" ]] || return 0
    done
    return 1
}

postgres_sql() {
    PGCONNECT_TIMEOUT=5 "$(postgres_programs)/psql" -XqtA -h 127.0.0.1 -p "$(port_of "$1")" -U onair -d postgres -c "$2"
}

postgres_ready() {
    [[ $(postgres_sql "$1" 'SELECT 1' 2>/dev/null) == 1 ]]
}

postgres_finish() {
    [[ $(postgres_sql postgres "SELECT 1 FROM pg_database WHERE datname = 'onair'") == 1 ]] ||
        postgres_sql postgres 'CREATE DATABASE onair'
}

postgres_stop() {
    # INT is the fast shutdown; TERM would wait for every client to leave.
    stop_process "$1" INT
}

postgres_purge() {
    local data
    data=$(postgres_data "$1")
    if [[ -L $data ]]; then
        rm -rf "$(readlink "$data")"
    fi
    rm -rf "$data"
}
