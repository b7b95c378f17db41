-- ARGV: age limit first-pause longest-pause, in microseconds
local status = redis.call('HGET', M, 'st')
if not status then return {'gone'} end
local now = tonumber(server_time())
local claimed = {'claimed'}
local ids = redis.call('ZRANGEBYSCORE', P, '-inf', text(now - ARGV[1]), 'LIMIT', 0, ARGV[2])
for _, id in ipairs(ids) do
  local f = entry_of(id)
  local claims = tonumber(f[7]) + 1
  local pause = math.min(ARGV[3] * 2 ^ math.min(claims - 1, 5), tonumber(ARGV[4]))
  f[7] = text(claims)
  put(id, f)
  redis.call('ZADD', P, text(now + pause), id)
  claimed[#claimed + 1] = {id, f[3], f[4], f[5], f[6], redis.call('HGET', E, 'c' .. id) or '', f[7]}
end
if #ids == 0 and status == 'C' and redis.call('EXISTS', P, D) == 0 then return {'gone'} end
return claimed
