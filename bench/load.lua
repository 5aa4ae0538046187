-- The load of every row, for wrk. Arguments after --: method, path, number of
-- threads, round, file of callers, file of common headers, file of the body.
--
-- A caller is a line: its own path, or nothing for the common one, a tab, and a
-- header line such as its cookie. Callers take turns. A body in which STEPSTEPS
-- stands gets another number of nine digits there in every request.

local mark = "STEPSTEPS"
local threads = 0
local before, after = {}, {} -- by caller: the request up to the mark, and from it on
local turn, step, stride

function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

local function read(path)
  local file = assert(io.open(path))
  local text = file:read("*a")
  file:close()
  return text
end

local function headers(lines, into)
  for name, value in lines:gmatch("([^:\n]+): ([^\n]*)") do
    into[name] = value
  end
  return into
end

function init(args)
  local method, path, count, round = args[1], args[2], tonumber(args[3]), tonumber(args[4])
  local common, body = read(args[6]), read(args[7])
  if body == "" then
    body = nil
  end
  for caller in io.lines(args[5]) do
    local own, line = caller:match("^([^\t]*)\t(.*)$")
    if own == "" then
      own = path
    end
    local request = wrk.format(method, own, headers(line, headers(common, {})), body)
    local from, to = request:find(mark, 1, true)
    if from then
      before[#before + 1] = request:sub(1, from - 1)
      after[#after + 1] = request:sub(to + 1)
    else
      before[#before + 1] = request
    end
  end
  -- Threads start at different callers, and no two requests have one step.
  turn = math.floor(#before * number / count)
  step, stride = 100000000 + 10000000 * round + number, count
end

function request()
  turn = turn % #before + 1
  local rest = after[turn]
  if not rest then
    return before[turn]
  end
  step = step + stride
  return before[turn] .. string.format("%d", step) .. rest
end

-- Times are in microseconds. errors.status counts answers of 400 and above.
function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    'result {"requests":%d,"micros":%d,"p50":%.1f,"p99":%.1f,"p999":%.1f,"max":%.1f,"failed":{"connect":%d,"read":%d,"write":%d,"timeout":%d,"status":%d}}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), latency:percentile(99.9), latency.max,
    errors.connect, errors.read, errors.write, errors.timeout, errors.status))
end
