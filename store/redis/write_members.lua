-- A group with several key columns: a HASH, field = the other columns, value = a record.
-- ARGV[4..] member, rows of each family; member, rows of each family; ...
local EACH = 64

local fresh = 0
for first = 4, #ARGV, 1 + #strides do
  local record = merged(redis.call('HGET', KEYS[1], ARGV[first]), first + 1)
  fresh = fresh + redis.call('HSET', KEYS[1], ARGV[first], record)
end
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end

-- Prune members without recent writes, each time EACH new ones have been added.
if redis.call('HLEN', KEYS[1]) % EACH < fresh then
  local all = redis.call('HGETALL', KEYS[1])
  for index = 1, #all, 2 do
    local record, at, left = all[index + 1], 4 * #strides + 1, 0
    for family, stride in ipairs(strides) do
      local length = struct.unpack('<I4', record, 4 * family - 3) * stride
      left = left + #pruned(string.sub(record, at, at + length - 1), stride)
      at = at + length
    end
    if left == 0 then redis.call('HDEL', KEYS[1], all[index]) end
  end
end
