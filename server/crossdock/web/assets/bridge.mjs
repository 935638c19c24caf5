// stdio ⇄ gateway: carries the messages of one local client, in whichever era it speaks.
//
// Messages keep their bytes; only the HTTP headers of each revision are added. A refusal becomes a
// JSON-RPC error in the gateway's words. No message of ours repeats the URL, which is a secret.

export const VERSION_KEY = "io.modelcontextprotocol/protocolVersion";
const LEGACY = new Set(["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]);
const NAMED_BY = {
  "tools/call": "name",
  "prompts/get": "name",
  "resources/read": "uri",
  "tasks/get": "taskId",
  "tasks/update": "taskId",
  "tasks/cancel": "taskId",
};
export const FIELD_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const UNREACHABLE = 50301;
const UNANSWERED = 50401;
const HEADER_MISMATCH = -32020;
const GRACE = 30_000;
const PARTING = 2_000;
const FIRST_WAIT = 1_000;
const LONGEST_WAIT = 30_000;
const RESUMPTIONS = 100;
const STRANGE =
  "The URL answered, but not as an MCP server; it should be https://<gateway>/mcp/<token>";
const CUT =
  "The connection to the gateway broke before the answer came. If this was a change, it may have " +
  "been made: look before trying again.";

class Failed extends Error {
  constructor(code, message, status = 0, data = undefined) {
    super(message);
    this.status = status;
    this.error = { code, message, ...(data === undefined ? {} : { data }) };
  }
}

// --- headers that repeat a message's body ---------------------------------------------------------

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

function claimedVersion(message) {
  const claim = message?.params?._meta?.[VERSION_KEY];
  return typeof claim === "string" && !LEGACY.has(claim) ? claim : undefined;
}

function headerValue(text) {
  const plain = /^[\x20-\x7e]*$/.test(text) && text === text.trim();
  if (plain && !(text.startsWith("=?base64?") && text.endsWith("?="))) return text;
  return `=?base64?${Buffer.from(text, "utf-8").toString("base64")}?=`;
}

class Mirrored {
  #parameters = new Map();

  learn(result) {
    for (const tool of Array.isArray(result?.tools) ? result.tools : []) {
      if (typeof tool?.name === "string") {
        this.#parameters.set(tool.name, [...declared(tool.inputSchema, [])]);
      }
    }
  }

  headers(message) {
    const headers = {
      "MCP-Protocol-Version": headerValue(claimedVersion(message)),
      "Mcp-Method": headerValue(message.method),
    };
    const name = message.params?.[NAMED_BY[message.method]];
    if (typeof name === "string") {
      headers["Mcp-Name"] = headerValue(name);
      if (message.method === "tools/call") this.#add(headers, name, message.params.arguments);
    }
    return headers;
  }

  #add(headers, tool, given) {
    for (const { header, path } of this.#parameters.get(tool) ?? []) {
      const value = path.reduce((inner, step) => (isObject(inner) ? inner[step] : undefined), given);
      if (["string", "number", "boolean"].includes(typeof value)) {
        headers[`Mcp-Param-${header}`] = headerValue(String(value));
      }
    }
  }
}

function* declared(schema, path) {
  for (const [name, inner] of Object.entries(isObject(schema?.properties) ? schema.properties : {})) {
    const header = isObject(inner) ? inner["x-mcp-header"] : undefined;
    if (typeof header === "string" && FIELD_NAME.test(header)) yield { header, path: [...path, name] };
    yield* declared(inner, [...path, name]);
  }
}

// --- reading answers ------------------------------------------------------------------------------

function decoded(text) {
  try {
    const found = JSON.parse(text);
    return Array.isArray(found) || (isObject(found) && "jsonrpc" in found) ? found : undefined;
  } catch {
    return undefined;
  }
}

const kindOf = (response) => (response.headers.get("Content-Type") ?? "").split(";")[0].trim();

export async function* lines(body) {
  const decoder = new TextDecoder();
  let rest = [];
  let afterReturn = false;
  for await (const chunk of body) {
    let text = decoder.decode(chunk, { stream: true });
    if (text === "") continue;
    if (afterReturn && text.startsWith("\n")) text = text.slice(1);
    afterReturn = text.endsWith("\r");
    const pieces = text.split(/\r\n|\n|\r/);
    const last = pieces.pop();
    for (const piece of pieces) {
      yield [...rest, piece].join("");
      rest = [];
    }
    rest.push(last);
  }
  if (rest.join("")) yield rest.join(""); // a line without its end, which completes no event
}

async function* events(body) {
  let event = { name: "message", data: [] };
  for await (const line of lines(body)) {
    if (line === "") {
      yield { ...event, data: event.data.join("\n") };
      event = { name: "message", data: [] };
      continue;
    }
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "data") event.data.push(value);
    else if (field === "event") event.name = value || "message";
    else if (field === "id") event.id = value;
    else if (field === "retry" && /^\d+$/.test(value)) event.retry = Number(value);
  }
}

async function* messages(response) {
  if (kindOf(response) === "text/event-stream") {
    for await (const event of events(response.body ?? [])) {
      yield [event, event.name === "message" ? decoded(event.data) : undefined];
    }
    return;
  }
  const data = await response.text();
  const message = decoded(data);
  if (message === undefined) throw new Failed(UNREACHABLE, `${STRANGE}.`, response.status);
  yield [{ data }, message];
}

async function failureOf(response) {
  const { status } = response;
  const error = decoded(await response.text())?.error;
  if (Number.isInteger(error?.code) && error.message) {
    return new Failed(error.code, String(error.message), status, error.data);
  }
  const code = status * 100 + 1;
  if (status >= 300 && status < 400) {
    return new Failed(code, "The URL redirects to another; use that one instead.", status);
  }
  if (status >= 500) {
    const what = `The gateway or a proxy before it is in trouble (HTTP ${status}). Try again later.`;
    return new Failed(code, what, status);
  }
  return new Failed(code, `${STRANGE} (HTTP ${status}).`, status);
}

const NOBODY = {
  ENOTFOUND: "its name is not known",
  EAI_AGAIN: "its name is not known",
  ECONNREFUSED: "it does not accept connections",
  EHOSTUNREACH: "it does not accept connections",
  ENETUNREACH: "it does not accept connections",
  UND_ERR_CONNECT_TIMEOUT: "it did not answer in time",
  ETIMEDOUT: "it did not answer in time",
};

/** Return the sentence for a request that found nobody; undefined if it may have arrived. */
function unreachable(error) {
  const cause = error?.cause;
  const code = cause?.code ?? cause?.errors?.[0]?.code ?? "";
  const untrusted = /CERT|SELF_SIGNED|UNABLE_TO_|ALTNAME|ERR_TLS|ERR_SSL/.test(code);
  const why = untrusted ? "its certificate is not trusted here" : NOBODY[code];
  if (why === undefined) return undefined;
  return `No answer from the gateway: ${why}. Is it running, and is this computer online?`;
}

// --- the bridge -----------------------------------------------------------------------------------

const pause = (milliseconds, signal) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });

const newReading = () => ({ session: "", last: undefined, wait: FIRST_WAIT });

const answers = (message, key) =>
  isObject(message) && !("method" in message) && JSON.stringify(message.id) === key;

export class Bridge {
  #mirrored = new Mirrored();
  #tasks = new Set();
  #underway = new Map();
  #greeted = Promise.resolve();
  #hello = "";
  #initialized = "";
  #version = "";
  #session = "";
  #listening = undefined;
  #reviving = Promise.resolve();

  constructor(url, own, write, complain) {
    Object.assign(this, { url, own, write, complain });
  }

  take(line) {
    let message;
    try {
      message = JSON.parse(line);
    } catch {
      this.#fail(undefined, new Failed(-32700, "The line is not valid JSON"));
      return;
    }
    if (Array.isArray(message)) {
      this.#start(this.#answer(undefined, this.#legacy(line, ""))); // a batch, which 2025-03-26 has
    } else if (!isObject(message)) {
      this.#fail(undefined, new Failed(-32600, "A message must be a JSON object"));
    } else if (typeof message.method === "string" && "id" in message) {
      this.#takeRequest(line, message);
    } else if (!this.#cancels(message)) {
      this.#start(this.#notify(line, message));
    }
  }

  /** Let calls under way be answered, and end the session. */
  async finish() {
    const endless = [...this.#underway.values()].filter((one) => one.endless).map((one) => one.task);
    const due = [...this.#tasks].filter((task) => !endless.includes(task));
    const listening = this.#listening?.task;
    const enough = new AbortController();
    await Promise.race([
      Promise.allSettled(due.filter((task) => task !== listening)),
      pause(GRACE, enough.signal),
    ]);
    enough.abort();
    this.#listening?.stop.abort();
    if (this.#session) {
      const headers = { ...this.#headers(), ...this.own };
      const signal = AbortSignal.timeout(PARTING);
      await fetch(this.url, { method: "DELETE", headers, redirect: "manual", signal }).catch(() => {});
    }
  }

  #takeRequest(line, message) {
    const key = JSON.stringify(message.id);
    const stop = new AbortController();
    const modern = claimedVersion(message) !== undefined;
    let carry;
    if (modern) carry = this.#modern(line, message, key, stop.signal);
    else if (message.method === "initialize") carry = this.#greet(line, key);
    else carry = this.#legacy(line, key);
    const task = this.#start(this.#answer(message.id, carry, stop.signal));
    const underway = { task, modern, stop, endless: message.method === "subscriptions/listen" };
    this.#underway.set(key, underway);
    task.finally(() => this.#underway.get(key) === underway && this.#underway.delete(key));
  }

  /** Tell whether the message cancels a request of the newest era, which is closed for that. */
  #cancels(message) {
    if (message.method !== "notifications/cancelled") return false;
    const underway = this.#underway.get(JSON.stringify(message.params?.requestId));
    if (!underway?.modern) return false;
    underway.stop.abort();
    return true;
  }

  #start(task) {
    this.#tasks.add(task);
    task.finally(() => this.#tasks.delete(task));
    return task;
  }

  async #answer(id, carry, signal) {
    try {
      await carry;
    } catch (error) {
      if (signal?.aborted) return;
      if (error instanceof Failed) this.#fail(id, error);
      else if (unreachable(error)) this.#fail(id, new Failed(UNREACHABLE, unreachable(error)));
      else this.#fail(id, new Failed(UNANSWERED, CUT));
    }
  }

  #fail(id, failed) {
    this.write(JSON.stringify({ jsonrpc: "2.0", id, error: failed.error }));
  }

  // The newest era: each request stands for itself.

  async #modern(line, message, key, signal) {
    let answer;
    try {
      answer = await this.#exchange(line, this.#mirrored.headers(message), key, { signal });
    } catch (error) {
      if (error.error?.code !== HEADER_MISMATCH || message.method !== "tools/call") throw error;
      await this.#learnTools(message, signal); // it wants arguments as headers that we never saw listed
      answer = await this.#exchange(line, this.#mirrored.headers(message), key, { signal });
    }
    if (answer === undefined) throw new Failed(UNANSWERED, CUT);
    if (message.method === "tools/list") this.#mirrored.learn(answer.result);
  }

  async #learnTools(message, signal) {
    const { progressToken, ...meta } = message.params._meta;
    let cursor = {};
    do {
      const params = { ...cursor, _meta: meta };
      const ask = { jsonrpc: "2.0", id: 0, method: "tools/list", params };
      const headers = this.#mirrored.headers(ask);
      const answer = await this.#exchange(JSON.stringify(ask), headers, "0", { silent: true, signal });
      this.#mirrored.learn(answer?.result);
      cursor = { cursor: answer?.result?.nextCursor };
    } while (typeof cursor.cursor === "string");
  }

  // The older revisions: an agreed version, and perhaps a session.

  #greet(line, key) {
    this.#version = this.#session = "";
    const greeting = (async () => {
      const reading = newReading();
      const answer = await this.#exchange(line, {}, key, { reading });
      if (answer === undefined) throw new Failed(UNANSWERED, CUT);
      if (isObject(answer.result)) {
        this.#hello = line;
        this.#version = String(answer.result.protocolVersion ?? "");
        this.#session = reading.session;
      }
    })();
    this.#greeted = greeting.catch(() => {});
    return greeting;
  }

  async #legacy(line, key) {
    await this.#greeted;
    const session = this.#session;
    const reading = newReading();
    let answer;
    try {
      answer = await this.#exchange(line, this.#headers(), key, { reading });
    } catch (error) {
      if (error.status !== 404 || !session) throw error;
      await this.#revive(session);
      answer = await this.#exchange(line, this.#headers(), key, { reading });
    }
    if (answer === undefined) await this.#resume(key, reading);
  }

  async #resume(key, reading) {
    for (let round = 0; round < RESUMPTIONS && reading.last !== undefined && this.#session; round++) {
      await pause(reading.wait);
      const response = await this.#get(reading.last);
      if (response.status !== 200) break;
      if ((await this.#relay(response, key, reading)) !== undefined) return;
    }
    throw new Failed(UNANSWERED, CUT);
  }

  /** Begin a new session where the gateway ended ours; the local client need not know. */
  #revive(ended) {
    const reviving = this.#reviving.then(async () => {
      if (this.#session !== ended) return;
      const reading = newReading();
      const key = JSON.stringify(JSON.parse(this.#hello).id);
      await this.#exchange(this.#hello, {}, key, { reading, silent: true });
      this.#session = reading.session;
      if (this.#initialized) {
        await (await this.#post(this.#initialized, this.#headers())).arrayBuffer();
        this.#listen();
      }
    });
    this.#reviving = reviving.catch(() => {});
    return reviving;
  }

  async #notify(line, message) {
    const modern = claimedVersion(message) !== undefined;
    if (!modern) await this.#greeted;
    try {
      const headers = modern ? this.#mirrored.headers(message) : this.#headers();
      const response = await this.#post(line, headers);
      if (response.status >= 300) throw await failureOf(response);
      await response.arrayBuffer();
    } catch (error) {
      const what = error instanceof Failed ? error.message : unreachable(error);
      this.complain(what ?? "The connection to the gateway broke.");
      return;
    }
    if (message.method === "notifications/initialized") {
      this.#initialized = line;
      this.#listen();
    }
  }

  #listen() {
    this.#listening?.stop.abort();
    this.#listening = undefined;
    if (!this.#session) return;
    const stop = new AbortController();
    this.#listening = { stop, task: this.#start(this.#listenOn(stop.signal)) };
  }

  /** Relay what the gateway says unasked, for as long as it offers a stream for that. */
  async #listenOn(signal) {
    const reading = newReading();
    let wait = FIRST_WAIT;
    while (!signal.aborted) {
      wait = Math.min(wait * 2, LONGEST_WAIT);
      try {
        const response = await this.#get(reading.last, signal);
        const streams = response.status === 200 && kindOf(response) === "text/event-stream";
        if (response.status < 500 && !streams) {
          await response.body?.cancel();
          return;
        }
        if (streams) {
          wait = reading.wait;
          await this.#relay(response, "", reading);
        }
      } catch {
        // broken: try again after the pause
      }
      await pause(wait, signal);
    }
  }

  #headers() {
    const headers = {};
    if (this.#version) headers["MCP-Protocol-Version"] = headerValue(this.#version);
    if (this.#session) headers["Mcp-Session-Id"] = this.#session;
    return headers;
  }

  /** POST, relay what comes back, and return the answer to `key`; undefined if it did not come. */
  async #exchange(body, headers, key, { reading = newReading(), silent = false, signal } = {}) {
    const response = await this.#post(body, headers, signal);
    if (response.status === 202) return []; // a batch without a request in it
    if (response.status !== 200) throw await failureOf(response);
    reading.session = response.headers.get("Mcp-Session-Id") ?? "";
    return this.#relay(response, key, reading, silent);
  }

  async #relay(response, key, reading, silent = false) {
    let answer;
    try {
      for await (const [event, message] of messages(response)) {
        reading.last = event.id ?? reading.last;
        reading.wait = event.retry ?? reading.wait;
        if (message === undefined) continue;
        if (!silent) this.write(event.data.replace(/[\r\n]/g, ""));
        if (Array.isArray(message) || answers(message, key)) answer = message;
      }
    } catch (error) {
      if (error instanceof Failed || (answer === undefined && reading.last === undefined)) throw error;
    }
    return answer;
  }

  #post(body, headers, signal) {
    const given = {
      "Content-Type": "application/json",
      Accept: "application/json, text/event-stream",
      ...headers,
      ...this.own,
    };
    return fetch(this.url, { method: "POST", body, headers: given, redirect: "manual", signal });
  }

  #get(last, signal) {
    const given = { Accept: "text/event-stream", ...this.#headers(), ...this.own };
    if (last !== undefined) given["Last-Event-ID"] = last;
    return fetch(this.url, { headers: given, redirect: "manual", signal });
  }
}
