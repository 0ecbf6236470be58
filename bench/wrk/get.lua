-- Paths of BENCH_PATHS (lines: a path, and a tab and a token where one is needed), each thread in its own order: all alike
-- in turn, or with BENCH_SKEW as buyers ask, the n-th most popular one n times less often than the first (Zipf's law).
-- With BENCH_NEW each is written as it never was before, by blanks where words may stand, so that nobody remembers it.
local feed = dofile(os.getenv("BENCH_WRK") .. "/feed.lua")

function setup(thread) feed.setup(thread) end

local requests, at = {}, 0
local skewed, new = os.getenv("BENCH_SKEW") == "1", os.getenv("BENCH_NEW") == "1"

function init(args)
    local mine = feed.share(feed.rows(os.getenv("BENCH_PATHS")), number, count)
    math.randomseed(number)
    for i = #mine, 2, -1 do
        local j = math.random(i)
        mine[i], mine[j] = mine[j], mine[i]
    end
    if new then math.randomseed(os.time() * 2 + number) end
    for i, row in ipairs(mine) do requests[i] = new and row[1] or feed.get(row[1], row[2]) end
end

local function blanked(path)
    local blanks = {}
    for i = 1, 40 do blanks[i] = math.random(2) == 1 and "+" or "%20" end
    return path .. (path:find("q=", 1, true) and "" or "&q=") .. table.concat(blanks)
end

function request()
    local many = #requests
    at = skewed and math.floor(many ^ math.random()) or at % many + 1
    return new and feed.get(blanked(requests[at])) or requests[at]
end

function done(summary, latency) feed.done(summary, latency) end
