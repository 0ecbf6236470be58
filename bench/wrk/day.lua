-- A day in the shop, of a hundred requests: 70 look around (lists 30, details 25, searches 10, categories 5), 15 are of the
-- cart (10 add, 5 read), 10 are of orders and their payment (placing, prepay of what was placed, a notice that another
-- order was paid, alike), 5 are the staff's (2.1 searches, 1.2 looks, 0.7 parcels handed over, 0.7 deliveries, 0.3 other
-- prices). With BENCH_RATE: so many a second and thread, evenly.
local feed = dofile(os.getenv("BENCH_WRK") .. "/feed.lua")
local now = dofile(os.getenv("BENCH_WRK") .. "/clock.lua")

function setup(thread) feed.setup(thread) end

local run, staff = os.getenv("BENCH_RUN"), os.getenv("BENCH_STAFF")
local random, format = math.random, string.format
local tokens, mine, skus, third, notices, lists, details, searches, orders, edits, parcels
local at, made, told, handed, edited, placed = 0, 0, 0, 0, 0, {}
prepays, notified, orders_placed, shipped, restocked, repriced = 0, 0, 0, 0, 0, 0

local function gets(name, token)
    local found = feed.rows(name)
    for i, row in ipairs(found) do found[i] = feed.get(row[1], token or row[2]) end
    return found
end

function init(args)
    tokens, mine = {}, {}
    for _, row in ipairs(feed.rows("members.tsv")) do tokens[tonumber(row[2])] = row[1] end
    for member = number, #tokens, count do mine[#mine + 1] = member end
    skus = feed.rows("skus.tsv")
    for _, row in ipairs(skus) do row[2] = tonumber(row[2]) end
    edits = feed.rows("edits.tsv")
    third = math.floor((#skus - 3 * #edits) / 3) -- nobody orders what gets another price meanwhile
    edits, parcels = feed.share(edits, number, count), feed.share(feed.rows("to-ship.tsv"), number, count)
    notices = feed.share(feed.rows("notices.tsv"), number, count)
    lists, details, searches = gets("lists.tsv"), gets("details.tsv"), gets("searches.tsv")
    orders = gets("admin-orders.tsv", staff)
    math.randomseed(os.time() * 2 + number)
    at = random(#mine)
end

local function one_of(list) return list[random(#list)] end

local function next_member()
    at = at % #mine + 1
    return mine[at]
end

local function send(method, path, token, body, key)
    local headers = { ["Authorization"] = "Bearer " .. token, ["Content-Type"] = body and "application/json" or nil }
    if key then
        made = made + 1
        headers["Idempotency-Key"] = format("%s-%d-%d", run, number, made)
    end
    return wrk.format(method, path, headers, body)
end

local function post(...) return send("POST", ...) end

local function place()
    orders_placed = orders_placed + 1
    local a, b, c = skus[random(third)], skus[third + random(third)], skus[2 * third + random(third)]
    return post("/api/v1/orders", tokens[next_member()], format(
        '{"lines":[{"skuId":"%s","quantity":1},{"skuId":"%s","quantity":1},{"skuId":"%s","quantity":1}],"expectedPayFen":%d}',
        a[1], b[1], c[1], a[2] + b[2] + c[2]), true)
end

local function prepay()
    local order = table.remove(placed)
    if not order then return place() end
    prepays = prepays + 1
    return post("/api/v1/orders/" .. order[1] .. "/prepay", order[2], nil, true)
end

local function notify()
    told = told + 1
    local row = notices[told]
    if not row then return place() end
    notified = notified + 1
    return wrk.format("POST", "/wechat/pay/notify", {
        ["Content-Type"] = "application/json",
        ["Wechatpay-Serial"] = os.getenv("BENCH_KEY_ID"),
        ["Wechatpay-Signature-Type"] = "WECHATPAY2-SHA256-RSA2048",
        ["Wechatpay-Timestamp"] = row[1], ["Wechatpay-Nonce"] = row[2], ["Wechatpay-Signature"] = row[3],
    }, row[4])
end

local function add_to_cart()
    local member = next_member()
    local sku = skus[(member * 12 + random(12)) % #skus + 1][1]
    return post("/api/v1/cart/items", tokens[member], format('{"skuId":"%s","quantity":1}', sku))
end

local function staff_searches()
    if random(2) == 1 then return feed.get("/admin/v1/orders?status=paid&limit=20", staff) end
    return feed.get("/admin/v1/orders?memberId=" .. random(#tokens) .. "&limit=20", staff)
end

local function ship()
    handed = handed + 1
    local row = parcels[handed]
    if not row then return staff_searches() end
    shipped = shipped + 1
    return post("/admin/v1/orders/" .. row[1] .. "/ship", staff,
        format('{"carrier":"SF","trackingNo":"SF%013d"}', random(1000000000)), true)
end

local function restock()
    restocked = restocked + 1
    local sku = skus[random(3 * third)][1]
    return post("/admin/v1/stock/" .. sku .. "/adjust", staff, '{"delta":12,"reason":"到货"}', true)
end

-- A fen more, then a fen less; the version is the one that this thread's last edit of it made.
local function reprice()
    repriced = repriced + 1
    edited = edited % #edits + 1
    local edit = edits[edited]
    local more = (edit.times or 0) % 2 == 0 and 1 or 0
    local body = edit[4]:gsub("@FEN@", edit[3] + more):gsub("@VERSION@", edit[2] + (edit.times or 0))
    edit.times = (edit.times or 0) + 1
    return send("PUT", "/admin/v1/products/" .. edit[1], staff, body)
end

function request()
    local dice = random() * 100
    if dice < 30 then return one_of(lists) end
    if dice < 55 then return one_of(details) end
    if dice < 65 then return one_of(searches) end
    if dice < 70 then return feed.get("/api/v1/categories") end
    if dice < 80 then return add_to_cart() end
    if dice < 85 then return feed.get("/api/v1/cart", tokens[next_member()]) end
    if dice < 88.34 then return place() end
    if dice < 91.67 then return prepay() end
    if dice < 95 then return notify() end
    if dice < 97.1 then return staff_searches() end
    if dice < 97.8 then return ship() end
    if dice < 98.5 then return restock() end
    if dice < 98.8 then return reprice() end
    return one_of(orders)
end

-- The answer to a placed order tells its number, and by the name on the address who placed it.
function response(status, headers, body)
    if status == 201 then
        local no, member = body:match('"no":"(%w+)"'), body:match('收件人(%d+)"')
        if no and member then placed[#placed + 1] = { no, tokens[tonumber(member)] } end
    end
end

local rate, slot = tonumber(os.getenv("BENCH_RATE") or ""), 0
if rate then
    function delay()
        local moment = now()
        if slot < moment - 1000000 then slot = moment end
        slot = slot + 1000000 / rate
        return math.max(0, math.floor((slot - moment) / 1000))
    end
end

function done(summary, latency)
    local sums = { prepays = 0, notified = 0, orders_placed = 0, shipped = 0, restocked = 0, repriced = 0 }
    for _, thread in ipairs(feed.threads()) do
        for name, sum in pairs(sums) do sums[name] = sum + thread:get(name) end
    end
    feed.done(summary, latency, format(',"prepays":%d,"notified":%d,"placed":%d,"shipped":%d,"restocked":%d,"repriced":%d',
        sums.prepays, sums.notified, sums.orders_placed, sums.shipped, sums.restocked, sums.repriced))
end
