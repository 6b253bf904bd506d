-- Rows written into records, never back in time. `store/record.py` says what a record holds.
-- KEYS[1] the entity's key; ARGV[1] its time to live, ms
-- ARGV[2] a u32 for each family: bytes of a row; ARGV[3] a u32 for each tile size: the oldest slot that is kept
local PLACE, LAST, FEW, STEP = 4, 9, 32, 16

local function numbers(packed)
  local found = {}
  for at = 1, #packed, 4 do found[#found + 1] = struct.unpack('<I4', packed, at) end
  return found
end
local strides, oldest = numbers(ARGV[2]), nil

local function pruned(section, stride)
  oldest = oldest or numbers(ARGV[3])
  local rows = {}
  for at = 1, #section, stride do
    local slot, size = struct.unpack('<I4B', section, at + PLACE)
    if slot >= oldest[size + 1] then rows[#rows + 1] = string.sub(section, at, at + stride - 1) end
  end
  return table.concat(rows)
end

-- Where in text[from..upto), rows of one stride, the row of the same tile begins: a match that is none lies askew.
local function find(text, row, stride, from, upto)
  local place = string.sub(row, PLACE + 1, LAST)
  local at = string.find(text, place, from + PLACE, true)
  while at and (at - PLACE - from) % stride ~= 0 do at = string.find(text, place, at + 1, true) end
  return at and at < upto and at - PLACE
end

-- A smaller n is an older tile. A new tile is the time to look for expired ones: each time in a short section, in a
-- long one each time that it has grown by STEP rows.
local function written(section, rows, stride)
  local before = #section / stride
  for first = 1, #rows, stride do
    local row = string.sub(rows, first, first + stride - 1)
    local at = find(section, row, stride, 1, #section)
    if not at then
      section = section .. row
    elseif struct.unpack('<I4', row) >= struct.unpack('<I4', section, at) then
      section = string.sub(section, 1, at - 1) .. row .. string.sub(section, at + stride)
    end
  end
  local after = #section / stride
  if after > before and (after <= FEW or after % STEP < after - before) then return pruned(section, stride) end
  return section
end

-- A record with the rows of ARGV[first], one string a family, written into it.
local function merged(record, first)
  local counts, sections, at = {}, {}, 4 * #strides + 1
  for family, stride in ipairs(strides) do
    local length = record and struct.unpack('<I4', record, 4 * family - 3) * stride or 0
    local section = written(record and string.sub(record, at, at + length - 1) or '', ARGV[first + family - 1], stride)
    at = at + length
    counts[family], sections[family] = struct.pack('<I4', #section / stride), section
  end
  return table.concat(counts) .. table.concat(sections)
end

-- Rows of ARGV[first..] that stand in the record already, by where they begin; nil if one does not.
local function standing(record, first)
  local found, at = {}, 4 * #strides + 1
  for family, stride in ipairs(strides) do
    local rows, upto = ARGV[first + family - 1], at + struct.unpack('<I4', record, 4 * family - 3) * stride
    for place = 1, #rows, stride do
      local row = string.sub(rows, place, place + stride - 1)
      local stands = find(record, row, stride, at, upto)
      if not stands then return nil end
      local before = found[stands] or string.sub(record, stands, stands + 3)
      if struct.unpack('<I4', row) >= struct.unpack('<I4', before) then found[stands] = row end
    end
    at = upto
  end
  return found
end
