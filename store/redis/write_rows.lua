-- Rows of a sequence of a group with several key columns: a HASH, field = the other columns, value = its rows.
-- A row is its time, an f64, the length of its bytes, a u32, and the bytes. The newest comes first.
-- KEYS[1] the entity's key; ARGV[1] its time to live, ms; ARGV[2] rows to keep per member;
-- ARGV[3] a member whose newest row is older than this is removed; ARGV[4..] member, rows; member, rows; ...
local EACH = 64
local limit, cut = tonumber(ARGV[2]), tonumber(ARGV[3])

local function unpack_rows(packed, times)
  local at = 1
  while at <= #packed do
    local time, length = struct.unpack('<dI4', packed, at)
    local row = string.sub(packed, at + 12, at + 11 + length)
    times[row] = math.max(times[row] or time, time) -- a value seen again moves forward, never back
    at = at + 12 + length
  end
end

local function before(one, two) -- by bytes, because Lua's < depends on the server's locale
  for at = 1, math.min(#one, #two) do
    local a, b = string.byte(one, at), string.byte(two, at)
    if a ~= b then return a < b end
  end
  return #one < #two
end

local function packed(times)
  local rows = {}
  for row in pairs(times) do rows[#rows + 1] = row end
  table.sort(rows, function(one, two)
    if times[one] ~= times[two] then return times[one] > times[two] end
    return before(two, one)
  end)
  local parts = {}
  for index = 1, math.min(#rows, limit) do
    parts[index] = struct.pack('<dI4', times[rows[index]], #rows[index]) .. rows[index]
  end
  return table.concat(parts)
end

local fresh = 0
for index = 4, #ARGV, 2 do
  local times = {}
  unpack_rows(redis.call('HGET', KEYS[1], ARGV[index]) or '', times)
  unpack_rows(ARGV[index + 1], times)
  fresh = fresh + redis.call('HSET', KEYS[1], ARGV[index], packed(times))
end
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end

-- Remove members without a recent row, each time EACH new ones have been added.
if redis.call('HLEN', KEYS[1]) % EACH < fresh then
  local all = redis.call('HGETALL', KEYS[1])
  for index = 1, #all, 2 do
    if struct.unpack('<d', all[index + 1]) < cut then redis.call('HDEL', KEYS[1], all[index]) end
  end
end
