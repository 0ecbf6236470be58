// Vendure's server: as many processes as PEER_WORKERS on one port. Its worker is not started: jobs wait, and cost nothing.
const cluster = require('node:cluster');
const { bootstrap } = require('@vendure/core');
const { config } = require('./config');

if (cluster.isPrimary) {
    for (let n = 0; n < Number(process.env.PEER_WORKERS); n++) cluster.fork();
    cluster.on('exit', () => process.exit(1));
} else {
    bootstrap(config(false)).catch(error => {
        console.error(error);
        process.exit(1);
    });
}
