-- Ask Vendure's shop API for one thing (BENCH_KIND) again and again, as a storefront asks it. An answer is wrong when it
-- holds an error: GraphQL says so in a 200. Each thread has customers of its own, and each is asked for by one at a time.
local feed = dofile(os.getenv("BENCH_WRK") .. "/feed.lua")

function setup(thread) feed.setup(thread) end

local kind = os.getenv("BENCH_KIND")
local customers, listed, variants, at = {}, {}, nil, 0
local random, format = math.random, string.format

local QUERIES = {
    list = [[query($slug: String!) { search(input: { collectionSlug: $slug, groupByProduct: true, take: 20 }) { items {
        productId productName slug inStock productAsset { preview }
        priceWithTax { ... on PriceRange { min max } ... on SinglePrice { value } } } } }]],
    detail = [[query($id: ID!) { product(id: $id) { id name slug description featuredAsset { preview }
        optionGroups { id name options { id name } }
        variants { id name sku priceWithTax stockLevel options { id name } } } }]],
    cart = [[mutation($variant: ID!) { addItemToOrder(productVariantId: $variant, quantity: 1) {
        ... on Order { id code totalQuantity subTotalWithTax totalWithTax lines { id quantity unitPriceWithTax
            linePriceWithTax productVariant { id name sku } } }
        ... on ErrorResult { errorCode message } } }]],
    place = [[mutation($lines: [AddItemInput!]!, $address: CreateAddressInput!) {
        addItemsToOrder(inputs: $lines) { order { id } errorResults { ... on ErrorResult { errorCode message } } }
        setOrderShippingAddress(input: $address) { ... on Order { id } ... on ErrorResult { errorCode message } }
        setOrderShippingMethod(shippingMethodId: ["1"]) { ... on Order { id } ... on ErrorResult { errorCode message } }
        transitionOrderToState(state: "ArrangingPayment") { ... on Order { id } ... on ErrorResult { errorCode message } }
        addPaymentToOrder(input: { method: "paid", metadata: {} }) {
            ... on Order { code state totalWithTax } ... on ErrorResult { errorCode message } } }]],
    orders = [[query { activeCustomer { orders(options: { take: 20, sort: { orderPlacedAt: DESC }, filter: { active: { eq: false } } }) {
        items { code state orderPlacedAt totalWithTax totalQuantity
            lines { id quantity linePriceWithTax productVariant { id name } } } } } }]],
}
local ADDRESS = '{"fullName":"李雷","streetLine1":"科苑路1号","city":"深圳市","province":"广东省","countryCode":"CN",' ..
    '"phoneNumber":"13800000000"}'

local query = QUERIES[kind]:gsub("%s+", " "):gsub('"', '\\"')

local variables = {
    list = function() return format('{"slug":"%s"}', listed[random(#listed)][1]) end,
    detail = function() return format('{"id":"%s"}', listed[math.floor((#listed) ^ random())][1]) end,
    cart = function() return format('{"variant":"%s"}', variants[(at * 12 + random(12)) % #variants + 1][1]) end,
    place = function()
        local lines, third = {}, math.floor(#variants / 3)
        for n = 0, 2 do
            lines[#lines + 1] = format('{"productVariantId":"%s","quantity":1}', variants[n * third + random(third)][1])
        end
        return format('{"lines":[%s],"address":%s}', table.concat(lines, ","), ADDRESS)
    end,
    orders = function() return "{}" end,
}

function init(args)
    for i, row in ipairs(feed.share(feed.rows(os.getenv("BENCH_CUSTOMERS")), number, count)) do
        customers[i] = "Bearer " .. row[1]
    end
    if kind == "list" then listed = feed.rows("vendure-categories.tsv") end
    if kind == "detail" then listed = feed.rows("vendure-products.tsv") end
    variants = feed.rows("vendure-variants.tsv")
    math.randomseed(os.time() * 2 + number)
    wrong = 0
end

local headers = { ["Content-Type"] = "application/json" }

function request()
    at = at % #customers + 1
    headers["Authorization"] = customers[at]
    return wrk.format("POST", "/shop-api", headers, format('{"query":"%s","variables":%s}', query, variables[kind]()))
end

local told = false

function response(status, _, body)
    if status ~= 200 or body:find('"errorCode"', 1, true) or body:find('"errors"', 1, true) then
        wrong = wrong + 1
        if not told then io.stderr:write("WRONG " .. body:sub(1, 300) .. "\n") end
        told = true
    end
end

function done(summary, latency)
    local found = 0
    for _, thread in ipairs(feed.threads()) do found = found + thread:get("wrong") end
    feed.done(summary, latency, format(',"wrong":%d', found))
end
