// Vendure's configuration: what `@vendure/create` writes, without e-mail, assets and the dashboard, which nobody asks for
// here. Everything that differs between machines comes from the environment. While it is being filled, updates of the search
// index are gathered, as Vendure advises.
const {
    DefaultJobQueuePlugin, DefaultLogger, DefaultSchedulerPlugin, DefaultSearchPlugin, LogLevel, dummyPaymentHandler,
} = require('@vendure/core');

exports.config = filling => ({
    apiOptions: {
        hostname: '127.0.0.1',
        port: Number(process.env.PEER_PORT),
        adminApiPath: 'admin-api',
        shopApiPath: 'shop-api',
    },
    authOptions: {
        tokenMethod: ['bearer'],
        superadminCredentials: { identifier: 'superadmin', password: process.env.PEER_SECRET },
        cookieOptions: { secret: process.env.PEER_SECRET },
    },
    dbConnectionOptions: { type: 'postgres', url: process.env.PEER_DATABASE_URL, synchronize: filling, logging: false },
    paymentOptions: { paymentMethodHandlers: [dummyPaymentHandler] },
    logger: new DefaultLogger({ level: LogLevel.Warn, timestamp: false }),
    plugins: [
        DefaultSchedulerPlugin.init(),
        DefaultJobQueuePlugin.init({ useDatabaseForBuffer: !filling, pollInterval: filling ? 20 : 200 }),
        DefaultSearchPlugin.init({ bufferUpdates: filling, indexStockStatus: true }),
    ],
});
