# shellcheck shell=bash
# A hot standby that streams from this instance's PostgreSQL.

# The name of its slot: what it has not read yet, the primary keeps.
REPLICA_SLOT=onair_replica

replica_needs() {
    postgres_needs
}

replica_prepare() {
    postgres_check
    claim_port "$1"
    replica_can_follow "$1" || replica_copy "$1"
    postgres_configure "$1"
}

# The data are worth nothing once the primary was made anew, or has thrown away what they lack.
# While it is away nobody knows.
replica_can_follow() {
    local created
    created=$(service_folder "$1")/created
    [[ -e $created ]] || return 1
    ! is_running postgres || [[ $(replica_primary) == "$(<"$created")" ]]
}

replica_primary() {
    postgres_sql postgres "SELECT system_identifier FROM pg_control_system(), pg_replication_slots
        WHERE slot_name = '$REPLICA_SLOT' AND wal_status <> 'lost'"
}

replica_copy() {
    local data log sync=--sync
    data=$(postgres_data "$1")
    log=$(service_folder "$1")/basebackup.log
    is_running postgres || fail "$1 follows postgres, which does not run: scripts/services start postgres $1"
    [[ ${ONAIR_SERVICES_SYNC:-on} == on ]] || sync=--no-sync
    postgres_purge "$1"
    rm -f "$(service_folder "$1")/created"
    replica_drop_slot
    postgres_make_data "$1"
    (cd / && as_postgres "$(postgres_programs)/pg_basebackup" -D "$(realpath "$data")" -h 127.0.0.1 \
        -p "$(port_of postgres)" -U onair --no-password --checkpoint=fast "$sync" \
        --write-recovery-conf --create-slot --slot="$REPLICA_SLOT") >"$log" 2>&1 || {
        tail -n 20 "$log" >&2
        fail "pg_basebackup failed, see $log"
    }
    replica_primary >"$(service_folder "$1")/created"
}

# Where a replica was just killed, its slot is in use for a moment more.
replica_drop_slot() {
    local deadline=$((SECONDS + 10))
    while [[ $(replica_slots 'AND active') == 1 ]]; do
        ((SECONDS < deadline)) || fail "another replica reads from postgres by the slot $REPLICA_SLOT"
        sleep 0.05
    done
    postgres_sql postgres "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
        WHERE slot_name = '$REPLICA_SLOT'" >/dev/null
}

replica_slots() {
    postgres_sql postgres "SELECT count(*) FROM pg_replication_slots WHERE slot_name = '$REPLICA_SLOT' $1"
}

replica_launch() {
    postgres_launch "$1"
}

replica_ready() {
    [[ $(postgres_sql "$1" 'SELECT pg_is_in_recovery()' 2>/dev/null) == t ]]
}

replica_stop() {
    postgres_stop "$1"
}

replica_purge() {
    ! is_running postgres || replica_drop_slot
    postgres_purge "$1"
}
