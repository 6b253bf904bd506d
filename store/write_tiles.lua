-- Write one entity's tiles, never back in time.
-- KEYS[1] the entity's hash
-- ARGV[1] time to live, ms; ARGV[2] number of fields above which expired tiles are looked for
-- ARGV[3] number of tile sizes S; then S pairs: size in s, newest start that has expired, ms
-- then pairs: field, value. A value starts with n, the number of events folded: a smaller n is an older tile.
local key, ttl, limit, sizes = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local first = 4 + 2 * sizes
local written = 0
for i = first, #ARGV, 2 do
  local stored = redis.call('HGET', key, ARGV[i])
  if not stored or struct.unpack('<d', stored) <= struct.unpack('<d', ARGV[i + 1]) then
    redis.call('HSET', key, ARGV[i], ARGV[i + 1])
    written = written + 1
  end
end
if redis.call('PTTL', key) < ttl then redis.call('PEXPIRE', key, ttl) end
local length = redis.call('HLEN', key)
if length > limit and length % 64 < written then
  local expired = {}
  for i = 4, first - 1, 2 do expired[tonumber(ARGV[i])] = tonumber(ARGV[i + 1]) end
  for _, field in ipairs(redis.call('HKEYS', key)) do
    local size, low, high = struct.unpack('<I4I4I4', field)
    local cut = expired[size]
    if cut == nil or high * 4294967296 + low <= cut then redis.call('HDEL', key, field) end
  end
end
return written
