-- ARGV: token-of-a-new-gate seconds-kept event…
-- An event: kind position prev …, joined by 31.
local function create(e, token)
  local offer = e[10] .. e[11] .. e[12]
  redis.call('HSET', M, 'ep', '1', 'tk', token, 'no', '0', 'st', 'S', 'op', e[4], 'cl', e[5], 'li', e[6],
    'se', e[7], 've', e[8], 'o' .. e[8], offer, 'of', offer, 'oa', e[10], 'ob', e[12], 'ap', e[2],
    're', '0', 'un', '0', 'hp', '0', 'hc', '0', 'ho', '0')
  for sku, n in string.gmatch(e[9], '([^\30]+)\30(%d+)\30') do
    redis.call('HSET', S, 'l' .. sku, n, 'u' .. sku, '0', 'd' .. sku, '0')
  end
  limit = e[6]
end

local function end_pending(id)
  local f = entry_of(id)
  if not f or f[1] ~= 'P' then return end
  f[1] = 'E'
  put(id, f)
  redis.call('HDEL', E, 'c' .. id)
  redis.call('ZREM', P, id)
  undo(id, f)
end

-- An order of this epoch that is not here was lost; one of an older epoch was on its way; an offer to somebody who
-- waited never was here.
local function notice(f, epoch, number)
  if number == '0' then return end
  local held = f and ((f[3] == epoch and f[4] == number) or f[1] ~= 'P')
  if not held and tonumber(epoch) >= tonumber(redis.call('HGET', M, 'ep')) then
    redis.call('HSET', M, 'un', '1')
  end
end

local on = {}

on['-'] = function() end
on['O'] = function() redis.call('HSET', M, 'st', 'O') end
on['P'] = function(e)
  end_pending(e[4])
  redis.call('HSET', M, 'st', 'P')
end
on['C'] = function(e)
  end_pending(e[4])
  redis.call('HSET', M, 'st', 'C')
end
on['V'] = function(e)
  end_pending(e[4])
  local around = redis.call('HMGET', M, 'oa', 'ob')
  local offer = around[1] .. e[6] .. around[2]
  redis.call('HSET', M, 've', e[5], 'of', offer, 'o' .. e[5], offer)
end
on['J'] = function(e)
  if e[6] ~= '' then end_pending(e[6]) end
  redis.call('HINCRBY', S, 'l' .. e[4], e[5])
  move(e[7], 'u', 1)
end
on['G'] = function(e)
  if tonumber(e[4]) > tonumber(redis.call('HGET', M, 'ep')) then redis.call('HSET', M, 're', '1') end
end
on['A'] = function(e)
  local f = entry_of(e[4])
  if f and f[3] == e[5] and f[4] == e[6] then end_pending(e[4]) end
  move(e[7], 'u', 1)
end
-- Units that were kept for those who wait.
on['F'] = function(e) move(e[4], 'u', -1) end
local function wait_no_longer(viewer)
  local units = redis.call('HGET', V, 'q' .. viewer)
  if units then
    redis.call('HDEL', V, 'q' .. viewer)
    count(viewer, -units)
  end
end
-- entry viewer units
on['W'] = function(e)
  end_pending(e[4])
  if limit ~= '' then
    wait_no_longer(e[5])
    redis.call('HSET', V, 'q' .. e[5], e[6])
    count(e[5], e[6])
  end
end
on['w'] = function(e) wait_no_longer(e[4]) end
-- id epoch number at version fingerprint viewer lines
on['a'] = function(e)
  local f = entry_of(e[4])
  notice(f, e[5], e[6])
  if f then
    if f[2] == 'o' then
      f[9] = e[9]
      put(e[4], f)
    end
  else
    put(e[4], {'E', 'o', e[5], e[6], e[7], e[8], '0', '', e[9], e[10], e[11]})
    redis.call('RPUSH', L, e[4])
  end
end
-- id epoch number decided viewer lines deadline
on['R'] = function(e)
  local id, viewer, lines = e[4], e[8], e[9]
  local f = entry_of(id)
  notice(f, e[5], e[6])
  local at, version, fingerprint, moves = e[7], redis.call('HGET', M, 've'), '', true
  if f then
    if f[1] == 'H' or f[1] == 'S' then return end
    if f[1] == 'P' then
      redis.call('ZREM', P, id)
      redis.call('HDEL', E, 'c' .. id)
      moves = not (f[2] == 'o' and f[10] == viewer and f[11] == lines)
      if moves then undo(id, f) end
    end
    if f[3] == e[5] and f[4] == e[6] then
      at, version = f[5], f[6]
    end
    if f[2] == 'o' then fingerprint = f[9] end
  else
    redis.call('RPUSH', L, id)
  end
  if moves then use(id, viewer, lines) end
  if e[6] == '0' then move(lines, 'u', -1) end
  put(id, {'H', 'o', e[5], e[6], at, version, '0', e[10], fingerprint, viewer, lines})
  redis.call('ZADD', D, e[10], id)
end
local function leave_hold(id, state)
  local f = entry_of(id)
  if not f or f[1] ~= 'H' then return f, false end
  f[1], f[8] = state, ''
  put(id, f)
  redis.call('ZREM', D, id)
  return f, true
end
on['c'] = function(e)
  local f, left = leave_hold(e[4], 'S')
  if left then
    move(f[11], 'd', 1)
    if limit ~= '' then leave_open(f[10], e[4]) end
  elseif not f then
    redis.call('HSET', M, 'un', '1')
  end
end
on['r'] = function(e)
  local f, left = leave_hold(e[4], 'E')
  if left then free(e[4], f[10], f[11]) end
  move(e[5], 'u', 1)
end

-- id viewer units
on['u'] = function(e)
  local f = entry_of(e[4])
  if limit ~= '' and (not f or f[1] == 'S') then redis.call('HINCRBY', V, 'u' .. e[5], -e[6]) end
end

local applied = redis.call('HGET', M, 'ap')
local outcome
for i = 3, #ARGV do
  local e = split(ARGV[i])
  if not applied then
    if e[1] ~= 'S' or ARGV[1] == '' then return {'nostate'} end
    create(e, ARGV[1])
    applied = e[2]
  elseif tonumber(e[2]) > tonumber(applied) then
    if e[3] ~= applied then
      outcome = 'gap'
      break
    end
    if e[1] ~= 'S' then on[e[1]](e) end
    applied = e[2]
  end
end
if not applied then return {'nostate'} end
redis.call('HSET', M, 'ap', applied)

local over = '0'
local now = redis.call('HMGET', M, 'st', 'un')
if now[1] == 'C' then
  if redis.call('EXISTS', P, D) == 0 then over = '1' end
  for _, key in ipairs(KEYS) do
    if over == '1' then redis.call('EXPIRE', key, ARGV[2]) else redis.call('PERSIST', key) end
  end
end
return {outcome or 'done', applied, now[2], over}
