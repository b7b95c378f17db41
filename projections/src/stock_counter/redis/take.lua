-- KEYS: meta stock entries pending ids viewers
-- ARGV: token seller order fingerprint viewer version units lines command again
local m = redis.call('HMGET', KEYS[1], 'tk', 'se', 're', 'st', 'hp', 'hc', 'ho', 'cl', 'op', 've', 'of', 'li', 'ep', 'lu')
if not m[1] then return {'gone'} end
if m[1] ~= ARGV[1] then return {'stale'} end
if m[2] ~= ARGV[2] or m[3] == '1' then return {'nostate'} end

local order = ARGV[3]
local known = redis.call('HGET', KEYS[3], order)
if known then
  local f = {}
  for field in string.gmatch(known .. '\31', '([^\31]*)\31') do f[#f + 1] = field end
  if f[2] ~= 'o' or (f[9] ~= '' and f[9] ~= ARGV[4]) then return {'conflict'} end
  if ARGV[10] ~= '1' or f[1] ~= 'E' then
    local command = redis.call('HGET', KEYS[3], 'c' .. order)
    local offer = redis.call('HGET', KEYS[1], 'o' .. f[6])
    return {'again', f[1], f[3], f[4], f[5], f[6], command or '', offer or ''}
  end
end

local t = redis.call('TIME')
local now = t[1] .. string.format('%06d', t[2])
if m[4] == 'C' or m[6] ~= '0' or (m[8] ~= '' and tonumber(now) >= tonumber(m[8])) then return {'closed'} end
if m[4] == 'S' then return {'notopen', m[9]} end
if m[4] == 'P' or m[5] ~= '0' then return {'paused'} end
if m[7] ~= '0' then return {'changing'} end
if ARGV[10] ~= '1' and m[10] ~= ARGV[6] then return {'offer', m[11]} end

local skus, units, fields = {}, {}, {}
for sku, n in string.gmatch(ARGV[8], '([^\30]+)\30(%d+)\30') do
  skus[#skus + 1] = sku
  units[#units + 1] = tonumber(n)
  fields[#fields + 1] = 'l' .. sku
  fields[#fields + 1] = 'u' .. sku
end
local stock = redis.call('HMGET', KEYS[2], unpack(fields))
for i = 1, #skus do
  if not stock[2 * i - 1] then return {'sku', skus[i]} end
end

local limit = m[12]
if limit ~= '' then
  local v = redis.call('HMGET', KEYS[6], 'u' .. ARGV[5], 'w' .. ARGV[5])
  if tonumber(v[1] or 0) + tonumber(ARGV[7]) > tonumber(limit) then
    return {'over', limit, string.sub(v[2] or '', -36)}
  end
end

for i = 1, #skus do
  if stock[2 * i - 1] - stock[2 * i] < units[i] then
    return {'soldout', redis.call('HGETALL', KEYS[2])}
  end
end
if m[14] and tonumber(now) < tonumber(m[14]) then return {'changing'} end

local number = string.format('%.0f', redis.call('HINCRBY', KEYS[1], 'no', 1))
for i = 1, #skus do
  redis.call('HINCRBY', KEYS[2], 'u' .. skus[i], units[i])
end
if limit ~= '' then
  redis.call('HINCRBY', KEYS[6], 'u' .. ARGV[5], ARGV[7])
  local open = redis.call('HGET', KEYS[6], 'w' .. ARGV[5]) or ''
  redis.call('HSET', KEYS[6], 'w' .. ARGV[5], open .. order)
end
local entry = table.concat({'P', 'o', m[13], number, now, m[10], '0', '', ARGV[4], ARGV[5], ARGV[8]}, '\31')
redis.call('HSET', KEYS[3], order, entry, 'c' .. order, ARGV[9])
redis.call('ZADD', KEYS[4], now, order)
if not known then redis.call('RPUSH', KEYS[5], order) end
-- one text: what most are answered is read in one piece
return table.concat({m[13], number, now, m[11]}, '\31')
