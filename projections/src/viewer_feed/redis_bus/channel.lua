-- One step on one channel. All keys share the channel's hash tag.
-- KEYS: meta, state, log, and the name of the shard channel to publish to.
-- ARGV: operation, an epoch to use if the channel starts again, milliseconds to keep it, ...
local meta, state, log, channel = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local operation, fresh, kept = ARGV[1], ARGV[2], ARGV[3]
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
    redis.call('HSET', meta, 'epoch', epoch, 'run', run, 'offset', '0')
    redis.call('PEXPIRE', meta, kept)
end

if operation == 'history' then
    local after_epoch, after = ARGV[4], tonumber(ARGV[5])
    if after_epoch ~= epoch or after > offset then
        return { epoch, integer(offset), false }
    end
    return { epoch, integer(offset), redis.call('XRANGE', log, integer(after + 1) .. '-0', '+') }
end

if operation == 'snapshot' then
    return { epoch, integer(offset), redis.call('HGETALL', state) }
end

local key, version, data = 'v:' .. ARGV[4], ARGV[5], ARGV[6]
local stored = redis.call('HGET', meta, key)
if stored and tonumber(version) <= tonumber(stored) then
    return 0
end
offset = offset + 1
redis.call('HSET', meta, key, version, 'offset', integer(offset))

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
    for first = 7, #ARGV, 2 * MEMBERS_AT_ONCE do
        merge(first, math.min(first + 2 * MEMBERS_AT_ONCE - 1, #ARGV))
    end
    redis.call('PEXPIRE', state, kept)
else
    kind = 'm'
    redis.call('XADD', log, 'MAXLEN', '=', ARGV[7], integer(offset) .. '-0', 'd', data)
    redis.call('PEXPIRE', log, kept)
end
redis.call('PEXPIRE', meta, kept)
redis.call('SPUBLISH', channel, kind .. ' ' .. epoch .. ' ' .. integer(offset) .. ' ' .. data)
return 1
