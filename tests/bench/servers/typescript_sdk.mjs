// A peer in TypeScript's SDK 1.x at its best documented setting: express, stateless, JSON answers.
//
// usage: node typescript_sdk.mjs FOLDER PORT PROVIDER_URL TOOLS, FOLDER holds node_modules

import { createRequire } from "node:module";
import { join } from "node:path";

const [folder, port, provider, tools] = process.argv.slice(2);
const require = createRequire(join(folder, "package.json"));
const { McpServer } = require("@modelcontextprotocol/sdk/server/mcp.js");
const { StreamableHTTPServerTransport } = require(
  "@modelcontextprotocol/sdk/server/streamableHttp.js",
);
const express = require("express");
const { z } = require("zod");
const { Pool } = require("undici");

const pool = new Pool(provider, { connections: 1000 });
const headers = { authorization: "Bearer sk_bench_1234567890" };

async function read(path) {
  const { body } = await pool.request({ method: "GET", path, headers });
  return { content: [{ type: "text", text: await body.text() }] };
}

const id = { id: z.string().describe("The order's id.") };
const email = { customer_email: z.string().describe("Complete address.") };

function made() {
  const server = new McpServer({ name: "bench", version: "1.0.0" });
  server.registerTool(
    "list_all_malomo_orders",
    { description: "Find orders of a customer.", inputSchema: email },
    ({ customer_email }) => read(`/orders?customer_email=${encodeURIComponent(customer_email)}`),
  );
  server.registerTool(
    "get_single_malomo_order_by_id",
    { description: "Read one order whole.", inputSchema: id },
    ({ id }) => read(`/orders/${encodeURIComponent(id)}`),
  );
  for (let n = 0; n < tools - 2; n += 1)
    server.registerTool(
      `bench_gates_verb_${n}`,
      {
        description:
          "Read one order whole, with every scan of each of its shipments, by the id of the provider.",
        inputSchema: id,
      },
      ({ id }) => read(`/orders/${encodeURIComponent(id)}`),
    );
  return server;
}

const app = express();
app.use(express.json());
app.post("/mcp", async (request, response) => {
  const server = made();
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: undefined,
    enableJsonResponse: true,
  });
  response.on("close", () => {
    transport.close();
    server.close();
  });
  await server.connect(transport);
  await transport.handleRequest(request, response, request.body);
});
app.listen(Number(port), "127.0.0.1");
