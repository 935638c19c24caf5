// Drives an MCP server with a JavaScript client: sdk 1.x (`sdk1`) or client 2.x (`client2`).
//
// usage: node drive_node.mjs FOLDER CLIENT, where FOLDER holds the installed node_modules. What comes
// from stdin and goes to stdout is the same as in drive_mcp.py.

import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const SECONDS_TO_CONNECT = 20;
const SECONDS_PER_STEP = 60;

const [folder, kind] = process.argv.slice(2);
const require = createRequire(join(folder, "package.json"));
const name = { sdk1: "@modelcontextprotocol/sdk", client2: "@modelcontextprotocol/client" }[kind];
const { version } = JSON.parse(readFileSync(join(folder, "node_modules", name, "package.json")));
const library = `${name} ${version}`;

function load() {
  if (kind === "client2") {
    return {
      ...require("@modelcontextprotocol/client"),
      ...require("@modelcontextprotocol/client/stdio"),
    };
  }
  return {
    ...require("@modelcontextprotocol/sdk/client/index.js"),
    ...require("@modelcontextprotocol/sdk/client/streamableHttp.js"),
    ...require("@modelcontextprotocol/sdk/client/sse.js"),
    ...require("@modelcontextprotocol/sdk/client/stdio.js"),
  };
}

const { Client, StreamableHTTPClientTransport, SSEClientTransport, StdioClientTransport } = load();

function makeTransport(order) {
  if (order.transport === "stdio") {
    const [command, ...args] = order.command;
    return new StdioClientTransport({ command, args, env: order.environment ?? {} });
  }
  const Transport = order.transport === "sse" ? SSEClientTransport : StreamableHTTPClientTransport;
  return new Transport(new URL(order.url), { requestInit: { headers: order.headers ?? {} } });
}

async function connect(order) {
  const mode = order.mode ?? "auto";
  const options = {};
  if (kind === "client2") {
    options.versionNegotiation = { mode: ["auto", "legacy"].includes(mode) ? mode : { pin: mode } };
  } else if (!["auto", "legacy"].includes(mode)) {
    throw new Error(`sdk 1.x cannot insist on ${mode}`);
  }
  const transport = makeTransport(order);
  const client = new Client({ name: `crossdock-tests-${kind}`, version: "1" }, options);
  await within(SECONDS_TO_CONNECT, client.connect(transport));
  const protocol =
    client.getNegotiatedProtocolVersion?.() ?? transport.protocolVersion ?? transport._protocolVersion;
  return { client, protocol, server: client.getServerVersion() };
}

async function list(client) {
  const tools = [];
  let cursor;
  do {
    const page = await client.listTools(cursor === undefined ? {} : { cursor });
    tools.push(...page.tools);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return tools;
}

async function call(client, { name, arguments: given = {} }) {
  const result = await client.callTool({ name, arguments: given });
  return {
    isError: result.isError === true,
    texts: result.content.filter((block) => block.type === "text").map((block) => block.text),
    structured: result.structuredContent ?? null,
  };
}

async function parallel(step, connection, order) {
  const wanted = step.connections ?? 1;
  const own = [connection];
  if (wanted > 1) {
    own.splice(0, 1, ...(await Promise.all(Array.from({ length: wanted }, () => connect(order)))));
  }
  const results = await Promise.all(
    step.calls.map((one, index) =>
      call(own[index % wanted].client, one).catch((error) => ({ error: told(error) })),
    ),
  );
  if (wanted > 1) {
    await Promise.all(own.map(({ client }) => client.close()));
  }
  return results;
}

async function perform(step, connection, order) {
  if (step.op === "list") return { tools: await list(connection.client) };
  if (step.op === "call") return { name: step.name, ...(await call(connection.client, step)) };
  if (step.op === "parallel") return { results: await parallel(step, connection, order) };
  throw new Error(`no step is called ${step.op}`);
}

function within(seconds, work) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer in ${seconds} s`)), seconds * 1000);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

function told(error) {
  return {
    type: error?.constructor?.name ?? "Error",
    code: typeof error?.code === "number" ? error.code : null,
    message: String(error?.message ?? error),
    data: error?.data ?? null,
  };
}

function say(answer, started) {
  const seconds = Math.round((performance.now() - started) * 10) / 10000;
  process.stdout.write(`${JSON.stringify({ ...answer, seconds })}\n`);
}

async function run(order) {
  let started = performance.now();
  let connection;
  try {
    connection = await connect(order);
  } catch (error) {
    say({ op: "connect", client: library, error: told(error) }, started);
    return;
  }
  const { protocol, server } = connection;
  say({ op: "connect", client: library, protocol, server }, started);
  for (const step of order.steps) {
    started = performance.now();
    try {
      const answer = await within(SECONDS_PER_STEP, perform(step, connection, order));
      say({ op: step.op, ...answer }, started);
    } catch (error) {
      say({ op: step.op, name: step.name, error: told(error) }, started);
    }
  }
  started = performance.now();
  try {
    await connection.client.close();
  } catch (error) {
    say({ op: "close", error: told(error) }, started);
  }
}

await run(JSON.parse(readFileSync(0, "utf-8")));
process.exit(0); // a transport may hold a stream open; everything is said by now
