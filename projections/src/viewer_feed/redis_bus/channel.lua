-- One step on one channel. All keys share the channel's hash tag.
-- KEYS: meta, state, log, the name of the shard channel to publish to, who watches by node, and who ever
-- did.
-- ARGV: operation, an epoch to use if the channel starts again, milliseconds to keep it, milliseconds
-- to keep its messages, how many of them, ...
local meta, state, log, channel, nodes, seen = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local operation, fresh, kept, log_kept, most = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local MEMBERS_AT_ONCE = 500

local function integer(number)
    return string.format('%.0f', number)
end

-- A server that restarted or took over may hold less than it acknowledged: the channel starts
-- again under a new epoch, so that nobody recovers across the hole.
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
local known = redis.call('HMGET', meta, 'epoch', 'run', 'offset')
local epoch, offset = known[1], tonumber(known[3] or '0')
if not epoch or known[2] ~= run then
    epoch, offset = fresh, 0
    redis.call('DEL', log)
    redis.call('HDEL', meta, 'sum', 'summed')
    redis.call('HSET', meta, 'epoch', epoch, 'run', run, 'offset', '0')
    redis.call('PEXPIRE', meta, kept)
end

if operation == 'history' then
    local after_epoch, after = ARGV[6], tonumber(ARGV[7])
    if after_epoch ~= epoch or after > offset then
        return { epoch, integer(offset), false }
    end
    return { epoch, integer(offset), redis.call('XRANGE', log, integer(after + 1) .. '-0', '+') }
end

-- What a stream came to at a place, beside it.
if operation == 'sum_up' then
    local at = tonumber(ARGV[7])
    local summed = tonumber(redis.call('HGET', meta, 'summed') or '0')
    if ARGV[6] == epoch and at >= summed and at <= offset then
        redis.call('HSET', meta, 'summed', integer(at), 'sum', ARGV[8])
        redis.call('PEXPIRE', meta, kept)
    end
    return 1
end

if operation == 'sum' then
    local stored = redis.call('HMGET', meta, 'summed', 'sum')
    return { epoch, stored[1] or '0', stored[2] }
end

if operation == 'snapshot' then
    return { epoch, integer(offset), redis.call('HGETALL', state) }
end

-- A member that is counted here: patched in as any other, without a version.
local function set_count(member, value)
    offset = offset + 1
    redis.call('HSET', meta, 'offset', integer(offset))
    redis.call('HSET', state, '/' .. member, value)
    redis.call('PEXPIRE', meta, kept)
    redis.call('PEXPIRE', state, kept)
    local patch = '{"' .. member .. '":' .. value .. '}'
    redis.call('SPUBLISH', channel, 's ' .. epoch .. ' ' .. integer(offset) .. ' ' .. patch)
end

if operation == 'add' then
    local member, by, at_least = ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8])
    local stored = redis.call('HGET', state, '/' .. member)
    local sum = integer(math.max(tonumber(stored or '0'), at_least) + by)
    if stored ~= sum then
        set_count(member, sum)
    end
    return sum
end

if operation == 'report' then
    local member, node, lasting = ARGV[6], ARGV[7], tonumber(ARGV[10])
    local time = redis.call('TIME')
    local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
    redis.call('HSET', nodes, node, ARGV[8] .. ' ' .. ARGV[9] .. ' ' .. integer(now + lasting))
    redis.call('PEXPIRE', nodes, kept)
    local clients, viewers = 0, 0
    local all = redis.call('HGETALL', nodes)
    for index = 1, #all, 2 do
        local c, v, till = string.match(all[index + 1], '(%d+) (%d+) (%d+)')
        if tonumber(till) > now then
            clients, viewers = clients + tonumber(c), viewers + tonumber(v)
        else
            redis.call('HDEL', nodes, all[index])
        end
    end
    if redis.call('HGET', state, '/' .. member) ~= integer(viewers) then
        set_count(member, integer(viewers))
    end
    local peak = math.max(tonumber(redis.call('HGET', meta, 'peak') or '0'), viewers)
    redis.call('HSET', meta, 'peak', integer(peak))
    if #ARGV > 10 then
        redis.call('PFADD', seen, unpack(ARGV, 11))
        redis.call('PEXPIRE', seen, kept)
    end
    return { clients, viewers, peak, redis.call('PFCOUNT', seen) }
end

local data = ARGV[8]
offset = offset + 1
if operation == 'append' then
    redis.call('HSET', meta, 'offset', integer(offset))
else
    local key, version = 'v:' .. ARGV[6], ARGV[7]
    local stored = redis.call('HGET', meta, key)
    if stored and tonumber(version) <= tonumber(stored) then
        return 0
    end
    redis.call('HSET', meta, key, version, 'offset', integer(offset))
end

-- The members that a patch names, parents first: path, and '{' for an object, '' for a removal, or
-- a value as encoded JSON. Objects stand in the hash as '{', so that an empty one is kept.
local function remove_below(path)
    local prefix = path .. '/'
    for _, member in ipairs(redis.call('HKEYS', state)) do
        if string.sub(member, 1, #prefix) == prefix then
            redis.call('HDEL', state, member)
        end
    end
end

local function merge(first, last)
    local paths = {}
    for index = first, last, 2 do
        paths[#paths + 1] = ARGV[index]
    end
    local before = redis.call('HMGET', state, unpack(paths))
    local changes = {}
    for number, path in ipairs(paths) do
        local value = ARGV[first + 2 * number - 1]
        if value ~= '{' and before[number] == '{' then
            remove_below(path)
        end
        if value == '' then
            redis.call('HDEL', state, path)
        elseif value ~= before[number] then
            changes[#changes + 1] = path
            changes[#changes + 1] = value
        end
    end
    if #changes > 0 then
        redis.call('HSET', state, unpack(changes))
    end
end

local kind
if operation == 'patch' then
    kind = 's'
    for first = 9, #ARGV, 2 * MEMBERS_AT_ONCE do
        merge(first, math.min(first + 2 * MEMBERS_AT_ONCE - 1, #ARGV))
    end
    redis.call('PEXPIRE', state, kept)
else
    kind = 'm'
    redis.call('XADD', log, 'MAXLEN', '=', most, integer(offset) .. '-0', 'd', data)
    redis.call('PEXPIRE', log, log_kept)
end
redis.call('PEXPIRE', meta, kept)
redis.call('SPUBLISH', channel, kind .. ' ' .. epoch .. ' ' .. integer(offset) .. ' ' .. data)
if operation == 'append' then
    return { epoch, integer(offset) }
end
return 1
