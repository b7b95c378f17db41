-- ARGV: entry
local f = entry_of(ARGV[1])
if not f or f[1] ~= 'P' or f[7] ~= '0' then return 0 end
redis.call('HDEL', E, ARGV[1], 'c' .. ARGV[1])
redis.call('ZREM', P, ARGV[1])
undo(ARGV[1], f)
return 1
