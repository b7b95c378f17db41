-- ARGV: seller entry kind lines command viewer; of a wait the lines are its units
local m = redis.call('HMGET', M, 'se', 're', 'st', 'hc', 'ep', 've')
if not m[1] or m[1] ~= ARGV[1] or m[2] == '1' then return {'nostate'} end
local id, kind, lines = ARGV[2], ARGV[3], ARGV[4]
local f = entry_of(id)
if f then
  return {'again', f[1], f[3], f[4], f[5], f[6], redis.call('HGET', E, 'c' .. id) or ''}
end
if m[3] == 'C' or m[4] ~= '0' then return {'closed'} end
if kind == 'r' then
  local sku, n = string.match(lines, '([^\30]+)\30(%d+)\30')
  local stock = redis.call('HMGET', S, 'l' .. sku, 'u' .. sku)
  if not stock[1] then return {'sku'} end
  local room = stock[1] - stock[2]
  if room < tonumber(n) then return {'below', text(room)} end
  move(lines, 'u', 1)
elseif kind == 'w' then
  if limit ~= '' then
    local v = redis.call('HMGET', V, 'u' .. ARGV[6], 'w' .. ARGV[6])
    if tonumber(v[1] or 0) + tonumber(lines) > tonumber(limit) then
      return {'over', limit, string.sub(v[2] or '', -36)}
    end
  end
  count(ARGV[6], lines)
else
  redis.call('HINCRBY', M, HALT[kind], 1)
end
local number = text(redis.call('HINCRBY', M, 'no', 1))
local now = server_time()
put(id, {'P', kind, m[5], number, now, m[6], '0', '', '', ARGV[6], lines})
redis.call('HSET', E, 'c' .. id, ARGV[5])
redis.call('ZADD', P, now, id)
return {'done', m[5], number, now, m[6]}
