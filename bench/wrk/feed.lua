-- What the scripts share: files that the bench wrote (in BENCH_FEED), and the result as one line of JSON.
local feed = {}

local folder = os.getenv("BENCH_FEED")
local threads = {}

-- The lines of a file; every thread of wrk has a Lua of its own and reads it by itself.
function feed.lines(name)
    local found = {}
    for line in io.lines(folder .. "/" .. name) do found[#found + 1] = line end
    return found
end

-- Lines of fields between tabs.
function feed.rows(name)
    local found = feed.lines(name)
    for i, line in ipairs(found) do
        local row = {}
        for field in line:gmatch("[^\t]+") do row[#row + 1] = field end
        found[i] = row
    end
    return found
end

-- Called for each thread before its `init`: it learns its number, and how many there will be.
function feed.setup(thread)
    threads[#threads + 1] = thread
    thread:set("number", #threads)
    thread:set("count", tonumber(os.getenv("BENCH_THREADS")))
end

function feed.threads() return threads end

-- This thread's share of a list: no two threads work on the same row.
function feed.share(list, number, count)
    local mine = {}
    for i = number, #list, count do mine[#mine + 1] = list[i] end
    return mine
end

function feed.get(path, token)
    local headers = token and { ["Authorization"] = "Bearer " .. token } or nil
    return wrk.format("GET", path, headers)
end

-- What wrk counted, for the bench to read. Status errors are answers of 400 and above.
function feed.done(summary, latency, more)
    local e = summary.errors
    io.write(string.format(
        'RESULT {"requests":%d,"duration_us":%d,"bytes":%d,"p50_us":%d,"p90_us":%d,"p99_us":%d,"max_us":%d,' ..
        '"status_errors":%d,"socket_errors":%d,"timeouts":%d%s}\n',
        summary.requests, summary.duration, summary.bytes, latency:percentile(50), latency:percentile(90),
        latency:percentile(99), latency.max, e.status, e.connect + e.read + e.write, e.timeout, more or ""))
end

return feed
