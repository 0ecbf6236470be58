-- Add a piece of a SKU to a member's cart. Each member comes back after all the others, and a cart never gets full: the
-- SKUs of a member are a dozen of its own.
local feed = dofile(os.getenv("BENCH_WRK") .. "/feed.lua")

function setup(thread) feed.setup(thread) end

local members, skus, at = {}, nil, 0
local random, format = math.random, string.format
local headers = { ["Content-Type"] = "application/json" }

function init(args)
    for i, row in ipairs(feed.share(feed.rows("members.tsv"), number, count)) do
        members[i] = { "Bearer " .. row[1], tonumber(row[2]) }
    end
    skus = feed.rows("skus.tsv")
    math.randomseed(os.time() * 2 + number)
    at = random(#members)
end

function request()
    at = at % #members + 1
    local member = members[at]
    headers["Authorization"] = member[1]
    local sku = skus[(member[2] * 12 + random(12)) % #skus + 1][1]
    return wrk.format("POST", "/api/v1/cart/items", headers, format('{"skuId":"%s","quantity":1}', sku))
end

function done(summary, latency) feed.done(summary, latency) end
