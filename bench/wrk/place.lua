-- Place orders of three lines, each with a fresh key, by one member after the other.
local feed = dofile(os.getenv("BENCH_WRK") .. "/feed.lua")

function setup(thread) feed.setup(thread) end

local tokens, skus, at, run, third = {}, nil, 0, os.getenv("BENCH_RUN"), 0
local random, format = math.random, string.format

function init(args)
    for i, row in ipairs(feed.share(feed.rows(os.getenv("BENCH_MEMBERS") or "members.tsv"), number, count)) do
        tokens[i] = "Bearer " .. row[1]
    end
    skus = feed.rows(os.getenv("BENCH_SKUS") or "skus.tsv")
    for _, row in ipairs(skus) do row[2] = tonumber(row[2]) end
    third = math.floor(#skus / 3)
    math.randomseed(os.time() * 2 + number)
    at = random(#tokens)
end

local headers = { ["Content-Type"] = "application/json" }
local made = 0

function request()
    at = at % #tokens + 1
    made = made + 1
    local a, b, c = skus[random(third)], skus[third + random(third)], skus[2 * third + random(third)]
    headers["Authorization"] = tokens[at]
    headers["Idempotency-Key"] = format("%s-%d-%d", run, number, made)
    local body = format(
        '{"lines":[{"skuId":"%s","quantity":1},{"skuId":"%s","quantity":1},{"skuId":"%s","quantity":1}],"expectedPayFen":%d}',
        a[1], b[1], c[1], a[2] + b[2] + c[2])
    return wrk.format("POST", "/api/v1/orders", headers, body)
end

function done(summary, latency) feed.done(summary, latency) end
