-- Rows of a sequence of a group with more key columns: a HASH, field = the other columns, value = its rows.
-- A row is its time, an f64, the length of its bytes, a u32, and the bytes. The newest stands first.
-- KEYS[1] the entity's key; ARGV[1] its time to live, ms; ARGV[2] rows kept of a member;
-- ARGV[3] before this time a member's newest row is no longer kept; ARGV[4..] member, rows; member, rows; ...
local EACH = 64
local limit, cut = tonumber(ARGV[2]), tonumber(ARGV[3])

local function take(packed, times)
  local at = 1
  while at <= #packed do
    local time, length = struct.unpack('<dI4', packed, at)
    local row = string.sub(packed, at + 12, at + 11 + length)
    times[row] = math.max(times[row] or time, time) -- a value seen again moves forward, never back
    at = at + 12 + length
  end
end

local function before(one, two) -- by bytes: what Lua's < says hangs on the server's locale
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
  for place = 1, math.min(#rows, limit) do
    parts[place] = struct.pack('<dI4', times[rows[place]], #rows[place]) .. rows[place]
  end
  return table.concat(parts)
end

local fresh = 0
for place = 4, #ARGV, 2 do
  local times = {}
  take(redis.call('HGET', KEYS[1], ARGV[place]) or '', times)
  take(ARGV[place + 1], times)
  fresh = fresh + redis.call('HSET', KEYS[1], ARGV[place], packed(times))
end
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end

-- Members without a row for long: looked for each time that so many have come.
if redis.call('HLEN', KEYS[1]) % EACH < fresh then
  local all = redis.call('HGETALL', KEYS[1])
  for place = 1, #all, 2 do
    if struct.unpack('<d', all[place + 1]) < cut then redis.call('HDEL', KEYS[1], all[place]) end
  end
end
