-- KEYS: the gate's seven keys, then the temporary seven
-- ARGV: epoch, skus with their limits, units kept for those who wait, viewers with the units that they wait for, then
-- fields and values of the meta hash
local own = redis.call('HGET', M, 'ep')
if own and tonumber(ARGV[1]) <= tonumber(own) then
  for i = 8, 14 do redis.call('UNLINK', KEYS[i]) end
  return {'nothigher', own}
end
for i = 1, 7 do
  redis.call('UNLINK', KEYS[i])
  if redis.call('EXISTS', KEYS[i + 7]) == 1 then
    redis.call('RENAME', KEYS[i + 7], KEYS[i])
    redis.call('PERSIST', KEYS[i])
  end
end
for sku, n in string.gmatch(ARGV[2], '([^\30]+)\30(-?%d+)\30') do
  redis.call('HSET', S, 'l' .. sku, n)
  redis.call('HINCRBY', S, 'u' .. sku, 0)
  redis.call('HINCRBY', S, 'd' .. sku, 0)
end
move(ARGV[3], 'u', 1)
for viewer, n in string.gmatch(ARGV[4], '([^\30]+)\30(%d+)\30') do
  redis.call('HSET', V, 'q' .. viewer, n)
  redis.call('HINCRBY', V, 'u' .. viewer, n)
end
redis.call('HSET', M, 'ep', ARGV[1], unpack(ARGV, 5))
return {'done'}
