-- A group with one key column: a STRING that holds one record. ARGV[4..] rows of each family.
local record = redis.call('GET', KEYS[1])
local left = redis.call('PTTL', KEYS[1])
local rows = record and existing(record, 4)
if rows then -- most writes only change values
  for at, row in pairs(rows) do redis.call('SETRANGE', KEYS[1], at - 1, row) end
  if left < tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
else
  redis.call('SET', KEYS[1], merged(record, 4), 'PX', math.max(left, tonumber(ARGV[1])))
end
