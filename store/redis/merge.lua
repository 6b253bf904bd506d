-- Merge rows into records; an older tile never replaces a newer one. `store/redis/record.py` describes the record.
-- KEYS[1] the entity's key; ARGV[1] its time to live, ms
-- ARGV[2] a u32 for each family: bytes per row; ARGV[3] a u32 for each tile size: the oldest slot to keep
local TILE, LAST, FEW, STEP = 4, 9, 32, 16

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
    local slot, size = struct.unpack('<I4B', section, at + TILE)
    if slot >= oldest[size + 1] then rows[#rows + 1] = string.sub(section, at, at + stride - 1) end
  end
  return table.concat(rows)
end

-- Index in text[from..upto), rows of one stride, of the row of the same tile; a match inside a row is skipped.
local function find(text, row, stride, from, upto)
  local tile = string.sub(row, TILE + 1, LAST)
  local at = string.find(text, tile, from + TILE, true)
  while at and (at - TILE - from) % stride ~= 0 do at = string.find(text, tile, at + 1, true) end
  return at and at < upto and at - TILE
end

-- A smaller n is an older tile. Expired tiles are pruned when a tile is new: always in a short section, in a long
-- section each time it has grown by STEP rows.
local function update_section(section, rows, stride)
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

-- Merge into a record the rows of ARGV[first], one string per family.
local function merged(record, first)
  local counts, sections, at = {}, {}, 4 * #strides + 1
  for family, stride in ipairs(strides) do
    local length = record and struct.unpack('<I4', record, 4 * family - 3) * stride or 0
    local section = update_section(record and string.sub(record, at, at + length - 1) or '', ARGV[first + family - 1], stride)
    at = at + length
    counts[family], sections[family] = struct.pack('<I4', #section / stride), section
  end
  return table.concat(counts) .. table.concat(sections)
end

-- Rows of ARGV[first..] whose tiles are in the record already, by index of the old row; nil if one is not.
local function existing(record, first)
  local found, at = {}, 4 * #strides + 1
  for family, stride in ipairs(strides) do
    local rows, upto = ARGV[first + family - 1], at + struct.unpack('<I4', record, 4 * family - 3) * stride
    for first_byte = 1, #rows, stride do
      local row = string.sub(rows, first_byte, first_byte + stride - 1)
      local index = find(record, row, stride, at, upto)
      if not index then return nil end
      local before = found[index] or string.sub(record, index, index + 3)
      if struct.unpack('<I4', row) >= struct.unpack('<I4', before) then found[index] = row end
    end
    at = upto
  end
  return found
end
