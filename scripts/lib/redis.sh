# shellcheck shell=bash
# Redis: one server, and the three masters of a Redis Cluster (redis-cluster-1 to -3).

REDIS_CLUSTER=(redis-cluster-1 redis-cluster-2 redis-cluster-3)

redis_needs() {
    need_command redis-server redis-server
    need_command redis-cli redis-tools
}

redis_check() {
    need_version Redis 7 'v=([0-9]+)' "$(redis-server --version)"
}

redis_prepare() {
    local name=$1 folder
    folder=$(service_folder "$name")
    redis_check
    claim_port "$name"
    mkdir -p "$folder/data"
    redis_configure "$name" >"$folder/redis.conf"
    if is_cluster_node "$name"; then
        claim_port "$name" bus_port
        need_free_port "$name" bus_port
        redis_configure_cluster "$name" >>"$folder/redis.conf"
    fi
}

redis_configure() {
    local sync=everysec
    [[ ${ONAIR_SERVICES_SYNC:-on} == on ]] || sync=no
    cat <<END
bind 127.0.0.1
port $(port_of "$1")
dir $(redis_quote "$(service_folder "$1")/data")
daemonize no
save ""
appendonly ${ONAIR_SERVICES_REDIS_APPENDONLY:-yes}
appendfsync $sync
maxmemory-policy noeviction
# fault tests pause and reload it
enable-debug-command local
END
}

redis_configure_cluster() {
    cat <<END
cluster-enabled yes
cluster-config-file nodes.conf
cluster-port $(port_of "$1" bus_port)
cluster-node-timeout 2000
END
}

redis_quote() {
    local text=${1//\\/\\\\}
    printf '"%s"' "${text//\"/\\\"}"
}

redis_launch() {
    spawn "$1" redis-server "$(service_folder "$1")/redis.conf"
}

redis_ask() {
    local name=$1
    shift
    # redis-cli itself waits for a server that hangs for as long as it hangs
    timeout 5 redis-cli -h 127.0.0.1 -p "$(port_of "$name")" "$@"
}

redis_ready() {
    [[ $(redis_ask "$1" ping 2>/dev/null) == PONG ]]
}

redis_stop() {
    stop_process "$1" TERM
}

is_cluster_node() {
    [[ $1 == redis-cluster-* ]]
}

redis_cluster_whole() {
    local node info
    for node in "${REDIS_CLUSTER[@]}"; do
        info=$(redis_ask "$node" cluster info 2>/dev/null) || return 1
        [[ $info == *cluster_state:ok* && $info == *cluster_slots_assigned:16384* && $info == *cluster_known_nodes:3* ]] || return 1
    done
}

redis_cluster_form() {
    local node log
    log=$SERVICES_DIR/redis-cluster.log
    local -a addresses=()
    for node in "${REDIS_CLUSTER[@]}"; do
        # A creation that was interrupted leaves nodes that refuse the next one.
        redis_ask "$node" cluster reset hard >/dev/null
        addresses+=("127.0.0.1:$(port_of "$node")")
    done
    redis-cli --cluster create "${addresses[@]}" --cluster-replicas 0 --cluster-yes >"$log" 2>&1 || {
        tail -n 20 "$log" >&2
        fail "the Redis Cluster could not be created, see $log"
    }
}

# Only nodes that have never been a cluster have no slot at all.
redis_cluster_is_new() {
    [[ $(redis_ask "${REDIS_CLUSTER[0]}" cluster info) == *cluster_slots_assigned:0* ]]
}

redis_cluster_finish() {
    local node
    for node in "${REDIS_CLUSTER[@]}"; do
        is_running "$node" || return 0
    done
    if redis_cluster_is_new; then
        redis_cluster_form
    fi
    wait_ready "${REDIS_CLUSTER[0]}" redis_cluster_whole
}
