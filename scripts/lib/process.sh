# shellcheck shell=bash
# Daemons without a service manager: one folder each, with its pid, its port and its log.
# Needs SERVICES_DIR, SERVICES_CACHE and READY_SECONDS.

service_folder() {
    printf '%s/%s\n' "$SERVICES_DIR" "$1"
}

pid_of() {
    local pid=''
    read -r pid _ 2>/dev/null <"$(service_folder "$1")/pid" || true
    printf '%s\n' "$pid"
}

port_of() {
    cat "$(service_folder "$1")/${2:-port}" 2>/dev/null || true
}

# Prints "STATE START": start time tells a process from a later one with the same pid,
# and a zombie, which nobody reaps in many containers, is not alive.
process_identity() {
    local stat
    { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
    local -a fields
    read -ra fields <<<"${stat##*) }"
    printf '%s %s\n' "${fields[0]}" "${fields[19]}"
}

is_running() {
    local pid recorded state started
    read -r pid recorded 2>/dev/null <"$(service_folder "$1")/pid" || return 1
    read -r state started <<<"$(process_identity "$pid")"
    [[ -n $started && $state != [ZX] && $started == "$recorded" ]]
}

# An inherited descriptor would keep a caller's pipe, or our lock, open for as long as the daemon lives.
close_inherited_files() {
    local path fd
    for path in /proc/"$BASHPID"/fd/*; do
        fd=${path##*/}
        if ((fd > 2 && fd != 255)); then
            eval "exec $fd>&-"
        fi
    done
}

spawn() {
    local name=$1 folder started
    folder=$(service_folder "$name")
    shift
    (
        close_inherited_files
        cd /
        exec setsid "$@"
    ) </dev/null >>"$folder/log" 2>&1 &
    local pid=$!
    started=$(process_identity "$pid") || started='X 0'
    printf '%s %s\n' "$pid" "${started#* }" >"$folder/pid"
}

wait_ready() {
    local name=$1 deadline=$((SECONDS + READY_SECONDS))
    shift
    until "$@"; do
        is_running "$name" || fail_with_log "$name ended before it was ready" "$name"
        ((SECONDS < deadline)) || fail_with_log "$name is not ready after $READY_SECONDS s" "$name"
        sleep 0.1
    done
}

fail_with_log() {
    local message=$1 log
    log=$(service_folder "$2")/log
    say "--- the end of $log"
    tail -n 20 "$log" >&2 || true
    fail "$message"
}

wait_gone() {
    local name=$1 deadline=$((SECONDS + $2))
    while is_running "$name"; do
        ((SECONDS < deadline)) || return 1
        sleep 0.05
    done
}

stop_process() {
    local name=$1 signal=$2
    is_running "$name" || return 0
    kill -s "$signal" "$(pid_of "$name")" 2>/dev/null || true
    wait_gone "$name" 30 || kill_process "$name"
}

# All at once, as a machine that loses power: stopped first, the parent can neither fork nor clean up.
kill_process() {
    local name=$1 pid
    is_running "$name" || return 0
    pid=$(pid_of "$name")
    kill -s STOP "$pid"
    local -a children
    mapfile -t children < <(children_of "$pid")
    kill -s KILL "$pid" "${children[@]}" 2>/dev/null || true
    wait_gone "$name" 10 || fail "$name (pid $pid) is still there after SIGKILL"
    wait_children_gone "${children[@]}"
}

children_of() {
    local parent=$1 path stat
    for path in /proc/[0-9]*/stat; do
        { stat=$(<"$path"); } 2>/dev/null || continue
        local -a fields
        read -ra fields <<<"${stat##*) }"
        if [[ ${fields[1]} == "$parent" ]]; then
            printf '%s\n' "${stat%% *}"
        fi
    done
}

wait_children_gone() {
    local pid identity
    for pid in "$@"; do
        while identity=$(process_identity "$pid") && [[ $identity != [ZX]* ]]; do
            sleep 0.05
        done
    done
}

is_listening() {
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# A service keeps its port for as long as its folder exists, also while it is stopped: the register in the
# shared cache keeps other instances from taking it. The range is below the kernel's ephemeral ports, so that
# no outgoing connection can take it either.
claim_port() {
    local name=$1 file=${2:-port} folder
    folder=$(service_folder "$name")
    [[ ! -s $folder/$file ]] || return 0
    (
        flock 8
        local claims port
        claims=$(live_claims)
        while :; do
            port=$((20000 + RANDOM % 12768))
            if ! grep -q "^$port " <<<"$claims" && ! is_listening "$port"; then
                break
            fi
        done
        printf '%s\n%s %s\n' "$claims" "$port" "$folder/$file" >"$SERVICES_CACHE/ports"
        printf '%s\n' "$port" >"$folder/$file"
    ) 8>"$SERVICES_CACHE/ports.lock"
}

live_claims() {
    local port file
    [[ -f $SERVICES_CACHE/ports ]] || return 0
    while read -r port file; do
        if [[ -n $port && -e $file ]]; then
            printf '%s %s\n' "$port" "$file"
        fi
    done <"$SERVICES_CACHE/ports"
}

need_free_port() {
    local name=$1 port
    port=$(port_of "$name" "${2:-port}")
    ! is_listening "$port" || fail "port $port of $name is taken by another process; \
free it, or let 'scripts/services stop --purge $name' forget it together with the data"
}
