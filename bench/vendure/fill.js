// Fill an empty database through Vendure's own importer and services, and write what the load needs into PEER_FEED.
// Reads from there `goods.csv` (Vendure's import format) and `categories.txt`; makes PEER_CUSTOMERS signed-in customers.
const fs = require('node:fs');
const path = require('node:path');
const {
    CustomerService, JobQueueService, ProductVariant, RequestContextService, SearchJobBufferService, SessionService,
    TransactionalConnection, User, bootstrap,
} = require('@vendure/core');
const { populate } = require('@vendure/core/cli');
const { config } = require('./config');

const feed = process.env.PEER_FEED;
const write = (name, rows) => fs.writeFileSync(path.join(feed, name), rows.map(row => row.join('\t') + '\n').join(''));

const initialData = {
    defaultLanguage: 'en',
    defaultZone: 'Asia',
    countries: [{ code: 'CN', name: 'China', zone: 'Asia' }],
    taxRates: [{ name: 'Standard Tax', percentage: 13 }],
    shippingMethods: [{ name: 'Standard Shipping', price: 800 }],
    paymentMethods: [{
        name: 'Paid',
        handler: { code: 'dummy-payment-handler', arguments: [{ name: 'automaticSettle', value: 'true' }] },
    }],
    collections: fs.readFileSync(path.join(feed, 'categories.txt'), 'utf-8').trim().split('\n').map(code => ({
        name: code,
        slug: code,
        filters: [{ code: 'facet-value-filter', args: { facetValueNames: [code], containsAny: false } }],
    })),
};

async function jobsDone(app) {
    const jobs = app.get(JobQueueService);
    // The whole index would be made twice: once by the job that `populate` leaves behind, once when all is known.
    for (const { id } of (await jobs.jobQueueStrategy.findMany()).items) await jobs.jobQueueStrategy.cancelJob(id);
    await jobs.start();
    await app.get(SearchJobBufferService).runPendingSearchUpdates();
    const open = { filter: { isSettled: { eq: false } } };
    while ((await jobs.jobQueueStrategy.findMany(open)).totalItems > 0) await new Promise(resolve => setTimeout(resolve, 200));
}

async function customers(app, ctx, count) {
    const rows = [];
    for (let n = 1; n <= count; n++) {
        const emailAddress = `buyer${n}@example.com`;
        const customer = await app.get(CustomerService).create(
            ctx, { firstName: 'Buyer', lastName: String(n), emailAddress, phoneNumber: '13800000000' }, 'a password of a buyer');
        const user = await app.get(TransactionalConnection).getRepository(ctx, User).findOneOrFail({
            where: { id: customer.user.id }, relations: { roles: { channels: true } },
        });
        const session = await app.get(SessionService).createNewAuthenticatedSession(ctx, user, 'native');
        rows.push([session.token, n]);
    }
    return rows;
}

(async () => {
    const app = await populate(() => bootstrap(config(true)), initialData, path.join(feed, 'goods.csv'));
    await jobsDone(app);
    const ctx = await app.get(RequestContextService).create({ apiType: 'admin' });
    write('vendure-customers.tsv', await customers(app, ctx, Number(process.env.PEER_CUSTOMERS)));
    const variants = await app.get(TransactionalConnection).getRepository(ctx, ProductVariant).find({ order: { id: 'ASC' } });
    write('vendure-variants.tsv', variants.map(variant => [variant.id]));
    write('vendure-products.tsv', [...new Set(variants.map(variant => variant.productId))].map(id => [id]));
    write('vendure-categories.tsv', initialData.collections.map(collection => [collection.slug]));
    await app.close();
    process.exit(0);
})().catch(error => {
    console.error(error);
    process.exit(1);
});
