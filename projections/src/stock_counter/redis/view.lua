local m = redis.call('HMGET', M, 'tk', 're', 'st', 'hp', 'hc', 'ho', 'cl', 'ep', 'ap', 'of', 've')
if not m[1] then return {'nostate'} end
local status = m[3]
if status == 'C' or m[5] ~= '0' or (m[7] ~= '' and tonumber(server_time()) >= tonumber(m[7])) then
  status = 'C'
elseif status == 'O' and m[4] ~= '0' then
  status = 'P'
end
local first = redis.call('ZRANGE', D, 0, 0, 'WITHSCORES')
return {'view', m[1], m[2], status, m[8], m[9], m[10], m[11], m[6], first[2] or '',
  redis.call('HGETALL', S)}
