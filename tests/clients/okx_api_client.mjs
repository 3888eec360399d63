// The story of an ordinary okx-api (Node.js) user, told through the gateway by the unmodified client.
//
// The same as the other stories. A private certificate authority is given by the environment variable
// NODE_EXTRA_CA_CERTS, which Node reads before this file runs; --ca is accepted and must name the same file.
// okx-api is found from this folder, or from the folder in OKX_API_DIR. Prints one line of JSON:
// {"ok": true, "steps": [...]} or {"ok": false, "step": ..., "error": ...}.
//
// Expects the account to hold at least 1,000 USDT, and somebody else to quote BTC-USDT on both sides. With
// --withdraw-to the address must be in the address book; without it the withdrawal is left out. --expect-refused
// CODE turns the withdrawal around: it must be refused, with that code.

import { randomBytes } from "node:crypto";
import { createRequire } from "node:module";
import { parseArgs } from "node:util";

const steps = [];
const step = (name) => steps.push(name);
const check = (condition, what) => {
  if (!condition) throw new Error(what);
};

// The client throws the answer itself when its code is not zero.
const refused = async (call) => {
  try {
    await call;
  } catch (answer) {
    return answer?.data?.[0]?.sCode ?? answer?.code;
  }
  return undefined;
};

async function marketData(client) {
  step("getSystemTime");
  const [{ ts }] = await client.getSystemTime();
  check(Math.abs(Number(ts) - Date.now()) < 60_000, "server time");

  step("getInstruments");
  const listed = await client.getInstruments({ instType: "SPOT" });
  check(listed.find((one) => one.instId === "BTC-USDT")?.tickSz === "0.1", "price step");

  step("getTicker");
  const [ticker] = await client.getTicker({ instId: "BTC-USDT" });
  check(Number(ticker.bidPx) < Number(ticker.askPx), "book is quoted and not crossed");
  return ticker;
}

async function orders(client, ticker) {
  const usdt = async () => (await client.getBalance({ ccy: "USDT" }))[0].details[0];

  step("getBalance");
  const free = (await usdt()).availBal;
  check(Number(free) >= 1000, `free: ${free}`);

  step("submitOrder");
  const clOrdId = randomBytes(16).toString("hex");
  const px = (Number(ticker.bidPx) * 0.9).toFixed(1);
  const order = { instId: "BTC-USDT", tdMode: "cash", side: "buy", ordType: "limit", px, sz: "0.001", clOrdId };
  const [placed] = await client.submitOrder(order);
  check(placed.sCode === "0" && placed.ordId, "order has an id");

  step("submitOrder with the same client id");
  check((await refused(client.submitOrder(order))) === "51016", "a client id is good once");

  step("getOrderList");
  const pending = await client.getOrderList({ instType: "SPOT" });
  check(pending.some((one) => one.ordId === placed.ordId), "the order is open");

  step("amendOrder");
  await client.amendOrder({ instId: "BTC-USDT", ordId: placed.ordId, newSz: "0.002" });
  const [amended] = await client.getOrderDetails({ instId: "BTC-USDT", ordId: placed.ordId });
  check(amended.sz === "0.002", "the order was amended");

  step("cancelOrder");
  await client.cancelOrder({ instId: "BTC-USDT", ordId: placed.ordId });
  check((await usdt()).availBal === free, "the funds came back");

  step("submitOrder without funds");
  const poor = { ...order, sz: "9000", clOrdId: randomBytes(16).toString("hex") };
  check((await refused(client.submitOrder(poor))) === "51008", "an order without funds is refused");

  step("submitMultipleOrders");
  const batch = [0, 1].map(() => ({ ...order, clOrdId: randomBytes(16).toString("hex") }));
  const several = await client.submitMultipleOrders(batch);
  check(new Set(several.map((one) => one.ordId)).size === 2, "two orders in one request");

  step("cancelMultipleOrders");
  await client.cancelMultipleOrders(several.map(({ ordId }) => ({ instId: "BTC-USDT", ordId })));

  step("submitOrder at market");
  const market = { instId: "BTC-USDT", tdMode: "cash", side: "buy", ordType: "market", sz: "100" };
  const [bought] = await client.submitOrder(market);
  const [filled] = await client.getOrderDetails({ instId: "BTC-USDT", ordId: bought.ordId });
  check(filled.state === "filled" && Number(filled.fee) < 0, "the order was filled for a fee");

  step("getFills");
  const fills = await client.getFills({ instType: "SPOT" });
  check(fills.some((one) => one.ordId === bought.ordId), "the fill is listed");
}

async function funding(client, options) {
  step("getCurrencies");
  const chains = (await client.getCurrencies({ ccy: "USDT" })).map((one) => one.chain);
  check(chains.includes("USDT-TRC20"), `chains: ${chains}`);

  step("getDepositAddress");
  const addresses = await client.getDepositAddress({ ccy: "USDT" });
  check(addresses.find((one) => one.chain === "USDT-TRC20")?.addr.startsWith("T"), "deposit address");

  if (!options["withdraw-to"]) return;
  step("submitWithdraw");
  const clientId = randomBytes(16).toString("hex");
  const toAddr = options["withdraw-to"];
  const request = { ccy: "USDT", amt: "15", dest: "4", toAddr, chain: "USDT-TRC20", fee: "1", clientId };
  const asked = client.submitWithdraw(request);
  if (options["expect-refused"]) {
    const code = await refused(asked);
    check(code === options["expect-refused"], `refused with: ${code}`);
    return;
  }
  const [{ wdId }] = await asked;

  step("getWithdrawalHistory");
  const found = await client.getWithdrawalHistory({ wdId });
  check(found.length === 1 && found[0].amt === "15" && found[0].to === toAddr, "the withdrawal is listed");
}

const describe = (error) => (error instanceof Error ? error.message : JSON.stringify(error));

try {
  const text = { type: "string" };
  const names = ["gateway", "ca", "key", "secret", "passphrase", "withdraw-to", "expect-refused"];
  const { values } = parseArgs({ options: Object.fromEntries(names.map((name) => [name, text])) });
  check(!values.ca || values.ca === process.env.NODE_EXTRA_CA_CERTS, "NODE_EXTRA_CA_CERTS must name the --ca file");
  const require = createRequire(process.env.OKX_API_DIR ? `${process.env.OKX_API_DIR}/x.js` : import.meta.url);
  const { RestClient } = require("okx-api");
  const client = new RestClient({
    apiKey: values.key,
    apiSecret: values.secret,
    apiPass: values.passphrase,
    baseUrl: values.gateway.replace(/\/$/, ""),
  });
  const ticker = await marketData(client);
  await orders(client, ticker);
  await funding(client, values);
  console.log(JSON.stringify({ ok: true, client: "okx-api", steps }));
} catch (error) {
  console.log(JSON.stringify({ ok: false, step: steps.at(-1) ?? "start", error: describe(error) }));
  process.exitCode = 1;
}
