-- ARGV: token lease, in microseconds
if redis.call('HGET', M, 'tk') ~= ARGV[1] then return -1 end
local stock, free = redis.call('HGETALL', S), {}
for i = 1, #stock, 2 do
  local field, sku = string.sub(stock[i], 1, 1), string.sub(stock[i], 2)
  if field == 'l' then free[sku] = (free[sku] or 0) + stock[i + 1] end
  if field == 'u' then free[sku] = (free[sku] or 0) - stock[i + 1] end
end
for _, units in pairs(free) do
  if units > 0 then return -1 end
end
local til = server_time() + ARGV[2]
if til > tonumber(redis.call('HGET', M, 'lu') or 0) then redis.call('HSET', M, 'lu', text(til)) end
return redis.call('LLEN', L)
