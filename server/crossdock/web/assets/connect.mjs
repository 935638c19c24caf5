#!/usr/bin/env node
// The same as `crossdock connect`, without dependencies, for hosts that start programs with npx.

import { Bridge, FIELD_NAME, VERSION_KEY, lines } from "./bridge.mjs";

const VERSION = "@version@";
const NEWEST = "2026-07-28";
const NOT_A_URL = "that is no URL; use https://<gateway>/mcp/<token>";
const USAGE = `usage: CROSSDOCK_URL=URL connect [--header 'Name: value']... [--check]

Bridges an MCP URL to stdin and stdout. Needs Node.js 18 or newer.
  CROSSDOCK_URL    https://<gateway>/mcp/<token>. Also taken as an argument or as
                   --url URL, where others on the machine can read it
  --header TEXT    a further header; \${NAME} in it is read from the environment
  --check          list the tools once, and say what came
An API token may be given as CROSSDOCK_API_TOKEN.`;

function complain(text) {
  process.stderr.write(`connect: ${text}\n`);
}

function usage(text) {
  complain(text);
  process.exit(2);
}

function readOptions(words) {
  const found = { url: process.env.CROSSDOCK_URL ?? "", headers: {}, check: false };
  for (let index = 0; index < words.length; index++) {
    const [word, ...rest] = words[index].startsWith("--") ? words[index].split("=") : [words[index]];
    const value = () => (rest.length ? rest.join("=") : words[++index]) ?? usage(`${word} wants a value`);
    if (word === "--help" || word === "-h") {
      process.stdout.write(`${USAGE}\n`);
      process.exit(0);
    } else if (word === "--check") found.check = true;
    else if (word === "--url") found.url = value();
    else if (word === "--header") addHeader(found.headers, value());
    else if (word.startsWith("-")) usage(`there is no option ${word}; see --help`);
    else found.url = word;
  }
  found.url = found.url.trim();
  const token = process.env.CROSSDOCK_API_TOKEN ?? "";
  if (token && !token.startsWith("${")) found.headers["X-Api-Token"] ??= token;
  return found;
}

function addHeader(headers, text) {
  const colon = text.indexOf(":");
  const name = text.slice(0, colon).trim();
  if (colon < 1 || !FIELD_NAME.test(name)) usage("--header wants 'Name: value'");
  const value = text.slice(colon + 1).replace(
    /\$\{(\w+)\}/g,
    (_, key) => process.env[key] ?? usage(`--header names \${${key}}, but the environment has no ${key}`),
  );
  headers[name] = value.trim();
}

function checkUrl(text) {
  try {
    const { protocol, hostname } = new URL(text);
    if (!["http:", "https:"].includes(protocol)) throw new Error();
    if (protocol === "http:" && !["localhost", "127.0.0.1", "[::1]"].includes(hostname)) {
      complain("The URL is http, so its token travels unprotected; use https.");
    }
  } catch {
    complain(NOT_A_URL);
    process.exit(1);
  }
}

function effectOf({ annotations: hints = {} }) {
  if (hints.readOnlyHint) return "read";
  return hints.destructiveHint ?? true ? "destructive" : "write";
}

async function check({ url, headers }) {
  let heard = "";
  const bridge = new Bridge(url, headers, (line) => (heard = line), complain);
  const _meta = {
    [VERSION_KEY]: NEWEST,
    "io.modelcontextprotocol/clientInfo": { name: "crossdock-connect", version: VERSION },
    "io.modelcontextprotocol/clientCapabilities": {},
  };
  bridge.take(JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list", params: { _meta } }));
  await bridge.finish();
  const { result, error } = JSON.parse(heard);
  if (error !== undefined) {
    complain(error.message);
    process.exit(1);
  }
  const effects = result.tools.map(effectOf);
  const counts = ["read", "write", "destructive"]
    .map((effect) => [effects.filter((one) => one === effect).length, effect])
    .filter(([count]) => count > 0)
    .map((pair) => pair.join(" "));
  const shares = counts.join(", ") || "none";
  process.stdout.write(`The URL works: ${result.tools.length} tools (${shares}).\n`);
  result.tools.forEach(({ name }, index) => process.stdout.write(`${name}\t${effects[index]}\n`));
}

async function serve({ url, headers }) {
  process.stdout.on("error", () => process.exit(0)); // the host is gone
  const bridge = new Bridge(url, headers, (line) => process.stdout.write(`${line}\n`), complain);
  for await (const line of lines(process.stdin)) {
    if (line.trim()) bridge.take(line.trim());
  }
  await bridge.finish();
}

const options = readOptions(process.argv.slice(2));
checkUrl(options.url);
await (options.check ? check(options) : serve(options));
process.stdout.write("", () => process.exit(0)); // streams may still be open; all is said
