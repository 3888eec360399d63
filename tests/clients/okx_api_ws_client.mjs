// An ordinary okx-api user watches the market and an account and trades over web sockets, through the gateway, with
// the unmodified client for Node.
//
// A private certificate authority is given by the environment variable NODE_EXTRA_CA_CERTS, which Node reads at its
// start. The client is looked for beside this file, or in the folder named by OKX_API_DIR. Prints one line of JSON:
// {"ok": true, "steps": [...]} or {"ok": false, "step": ..., "error": ...}.
//
// Expects the account to hold at least 1,000 USDT, and somebody else to quote BTC-USDT on both sides.

import { randomBytes } from "node:crypto";
import { createRequire } from "node:module";
import { parseArgs } from "node:util";

const PATIENCE_MS = 30_000;
const steps = [];
const step = (name) => steps.push(name);
const check = (condition, what) => {
  if (!condition) throw new Error(what);
};

const soon = (promise, what) => {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no ${what} in time`)), PATIENCE_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
};

// Resolves with the first update of a channel of which something holds.
const update = (client, channel, holds = () => true) =>
  soon(
    new Promise((resolve) => {
      const listen = (event) => {
        if (event?.arg?.channel === channel && event.data && holds(event)) {
          client.off("update", listen);
          resolve(event);
        }
      };
      client.on("update", listen);
    }),
    `update of ${channel}`,
  );

const silent = { trace() {}, info() {}, error() {} };

async function marketData(WebsocketClient, base) {
  step("subscribe tickers");
  const client = new WebsocketClient({ wsUrl: `${base}/public` }, silent);
  client.on("exception", () => {});
  const first = update(client, "tickers");
  client.subscribe({ channel: "tickers", instId: "BTC-USDT" });
  const [ticker] = (await first).data;
  check(Number(ticker.bidPx) < Number(ticker.askPx), "book is quoted and not crossed");

  step("subscribe books");
  const snapshot = update(client, "books", (event) => event.action === "snapshot");
  client.subscribe({ channel: "books", instId: "BTC-USDT" });
  check((await snapshot).data[0].asks.length > 0, "the book has asks");
  client.closeAll(true);
  return ticker;
}

async function trading(WebsocketClient, base, account, ticker) {
  step("subscribe account and orders");
  const client = new WebsocketClient({ wsUrl: `${base}/private`, accounts: [account] }, silent);
  client.on("exception", () => {});
  const balances = update(client, "account");
  client.subscribe([{ channel: "account" }, { channel: "orders", instType: "ANY" }]);
  const usdt = (await balances).data[0].details.find((row) => row.ccy === "USDT");
  check(Number(usdt.availBal) >= 1000, `free: ${usdt.availBal}`);

  step("order");
  const px = (Number(ticker.bidPx) * 0.9).toFixed(1);
  const clOrdId = randomBytes(16).toString("hex");
  const order = { instId: "BTC-USDT", tdMode: "cash", side: "buy", ordType: "limit", px, sz: "0.001", clOrdId };
  const live = update(client, "orders", ({ data }) => data[0].clOrdId === clOrdId && data[0].state === "live");
  const key = "prodPrivate";
  const ask = (op, args) => soon(client.sendWSAPIRequest(key, op, args), `answer to ${op}`);
  const placed = await ask("order", order);
  check(placed.data[0].sCode === "0", `placed: ${JSON.stringify(placed)}`);
  check((await live).data[0].ordId === placed.data[0].ordId, "the order is pushed");

  step("order with the same client id");
  const refused = await ask("order", order).then(
    () => undefined,
    (answer) => answer?.data?.[0]?.sCode,
  );
  check(refused === "51016", `a client id is good once: ${refused}`);

  step("amend-order");
  const name = { instId: "BTC-USDT", ordId: placed.data[0].ordId };
  const larger = update(client, "orders", ({ data }) => data[0].sz === "0.002");
  await ask("amend-order", { ...name, newSz: "0.002" });
  await larger;

  step("cancel-order");
  const gone = update(client, "orders", ({ data }) => data[0].state === "canceled");
  await ask("cancel-order", name);
  await gone;

  step("batch-orders");
  const several = await ask("batch-orders", [
    { ...order, clOrdId: randomBytes(16).toString("hex") },
    { ...order, clOrdId: randomBytes(16).toString("hex") },
  ]);
  const names = several.data.map(({ ordId }) => ({ instId: "BTC-USDT", ordId }));
  check(new Set(names.map((one) => one.ordId)).size === 2, "two orders in one request");
  await ask("batch-cancel-orders", names);
  client.closeAll(true);
}

async function stranger(WebsocketClient, base, account) {
  step("login with a wrong secret");
  const client = new WebsocketClient({ wsUrl: `${base}/private`, accounts: [{ ...account, apiSecret: "0".repeat(32) }] }, silent);
  const refusal = soon(
    new Promise((resolve) => client.on("exception", (event) => event.code && resolve(event.code))),
    "refusal",
  );
  client.connectPrivate().catch(() => {});
  check((await refusal) === "60007", "the signature is refused");
  client.closeAll(true);
}

const describe = (error) => (error instanceof Error ? error.message : JSON.stringify(error));

try {
  const text = { type: "string" };
  const names = ["gateway", "ca", "key", "secret", "passphrase"];
  const { values } = parseArgs({ options: Object.fromEntries(names.map((name) => [name, text])) });
  check(!values.ca || values.ca === process.env.NODE_EXTRA_CA_CERTS, "NODE_EXTRA_CA_CERTS must name the --ca file");
  const require = createRequire(process.env.OKX_API_DIR ? `${process.env.OKX_API_DIR}/x.js` : import.meta.url);
  const { WebsocketClient } = require("okx-api");
  const base = `${values.gateway.replace(/\/$/, "").replace(/^http/, "ws")}/ws/v5`;
  const account = { apiKey: values.key, apiSecret: values.secret, apiPass: values.passphrase };
  const ticker = await marketData(WebsocketClient, base);
  await trading(WebsocketClient, base, account, ticker);
  await stranger(WebsocketClient, base, account);
  console.log(JSON.stringify({ ok: true, client: "okx-api", steps }));
  process.exit(0);
} catch (error) {
  console.log(JSON.stringify({ ok: false, step: steps.at(-1) ?? "start", error: describe(error) }));
  process.exit(1);
}
