-- What the scripts that never admit share.
-- An entry: state kind epoch number at version claims deadline fingerprint viewer lines, joined by 31.
-- Lines: sku units sku units …, each followed by 30.
local M, S, E, P, L, V, D = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local HALT = {p = 'hp', c = 'hc', f = 'ho'}
local limit = redis.call('HGET', M, 'li') or ''

local function text(n) return string.format('%.0f', n) end

local function split(joined)
  local f = {}
  for field in string.gmatch(joined .. '\31', '([^\31]*)\31') do f[#f + 1] = field end
  return f
end

local function entry_of(id)
  local joined = redis.call('HGET', E, id)
  return joined and split(joined)
end

local function put(id, f) redis.call('HSET', E, id, table.concat(f, '\31')) end

local function move(lines, field, sign)
  local units = 0
  for sku, n in string.gmatch(lines, '([^\30]+)\30(%d+)\30') do
    redis.call('HINCRBY', S, field .. sku, sign * n)
    units = units + n
  end
  return units
end

local function leave_open(viewer, id)
  local open = redis.call('HGET', V, 'w' .. viewer) or ''
  local at = string.find(open, id, 1, true)
  if at then
    open = string.sub(open, 1, at - 1) .. string.sub(open, at + 36)
    redis.call('HSET', V, 'w' .. viewer, open)
  end
  return open
end

local function use(id, viewer, lines)
  local units = move(lines, 'u', 1)
  if limit ~= '' then
    redis.call('HINCRBY', V, 'u' .. viewer, units)
    redis.call('HSET', V, 'w' .. viewer, (redis.call('HGET', V, 'w' .. viewer) or '') .. id)
  end
end

-- Adds to the units that count for a viewer.
local function count(viewer, units)
  if limit == '' then return end
  local left = redis.call('HINCRBY', V, 'u' .. viewer, units)
  if left == 0 and (redis.call('HGET', V, 'w' .. viewer) or '') == '' then
    redis.call('HDEL', V, 'u' .. viewer, 'w' .. viewer)
  end
end

local function free(id, viewer, lines)
  local units = move(lines, 'u', -1)
  if limit ~= '' then
    local left = redis.call('HINCRBY', V, 'u' .. viewer, -units)
    if leave_open(viewer, id) == '' and left == 0 then
      redis.call('HDEL', V, 'u' .. viewer, 'w' .. viewer)
    end
  end
end

-- Takes a pending entry's effect back: its units, or its halt.
local function undo(id, f)
  if f[2] == 'o' then
    free(id, f[10], f[11])
  elseif f[2] == 'r' then
    move(f[11], 'u', -1)
  elseif f[2] == 'w' then
    count(f[10], '-' .. f[11])
  else
    redis.call('HINCRBY', M, HALT[f[2]], -1)
  end
end

local function server_time()
  local t = redis.call('TIME')
  return t[1] .. string.format('%06d', t[2])
end
