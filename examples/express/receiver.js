// Receive orders in Express: verify with the public Standard Webhooks library, store each event once.
//
//   npm ci
//   WEBHOOK_SECRET=whsec_… node receiver.js

const fs = require("node:fs");
const express = require("express");
const { Webhook } = require("standardwebhooks");

const secret = process.env.WEBHOOK_SECRET;
if (!secret) throw new Error("set WEBHOOK_SECRET");
// A secret without the prefix is its own bytes.
const webhook = secret.startsWith("whsec_") ? new Webhook(secret) : new Webhook(secret, { format: "raw" });

// The file stands for your database: one line for each event, with its id and the order, so both are stored or neither is.
const file = process.env.DATABASE ?? "orders.jsonl";
const lines = fs.existsSync(file) ? fs.readFileSync(file, "utf8").split("\n") : [];
const stored = new Map();
for (const line of lines.slice(0, -1)) {
  const { eventId, order } = JSON.parse(line);
  stored.set(eventId, order);
}
// What follows the last line break was cut by a crash: it was never responded to with 2xx.
fs.writeFileSync(file, lines.slice(0, -1).map((line) => line + "\n").join(""));
const log = fs.openSync(file, "a");

// Store the order of an event, unless the event was handled before.
function handle(event) {
  if (stored.has(event.id)) return;
  fs.writeSync(log, JSON.stringify({ eventId: event.id, order: event.data }) + "\n");
  fs.fsyncSync(log);
  stored.set(event.id, event.data);
}

const app = express();

// Verify the raw body, handle the event, respond 204. An exception in between is a 500: packhook tries again.
app.post("/order-created", express.raw({ type: "*/*", limit: "1mb" }), (request, response) => {
  let event;
  try {
    event = webhook.verify(request.body, request.headers);
  } catch (error) {
    response.status(401).type("text").send(error.message);
    return;
  }
  handle(event);
  response.status(204).end();
});

// List the ids of the orders that were stored.
app.get("/orders", (request, response) => response.json([...stored.values()].map((order) => order.id)));

const server = app.listen(Number(process.env.PORT ?? 9000), "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
