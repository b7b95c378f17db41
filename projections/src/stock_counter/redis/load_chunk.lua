-- KEYS: the temporary keys · ARGV: limit seconds-kept (id entry returned)…
limit = ARGV[1]
for i = 3, #ARGV, 3 do
  local id, f = ARGV[i], split(ARGV[i + 1])
  redis.call('HSET', E, id, ARGV[i + 1])
  redis.call('RPUSH', L, id)
  if f[1] == 'H' then
    use(id, f[10], f[11])
    redis.call('ZADD', D, f[8], id)
  elseif f[1] == 'S' then
    use(id, f[10], f[11])
    move(f[11], 'd', 1)
    if limit ~= '' then
      leave_open(f[10], id)
      if ARGV[i + 2] ~= '0' then redis.call('HINCRBY', V, 'u' .. f[10], '-' .. ARGV[i + 2]) end
    end
  end
end
for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, ARGV[2]) end
return 1
