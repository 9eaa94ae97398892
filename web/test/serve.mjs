// Serves the built page as a node does, with the same headers, and a made-up world behind it.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const DIST = fileURLToPath(new URL("../dist/", import.meta.url));
const TYPES = { html: "text/html; charset=utf-8", js: "text/javascript; charset=utf-8", css: "text/css; charset=utf-8", svg: "image/svg+xml" };
const HEADERS = {
  "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Resource-Policy": "same-origin",
};
export const TOKEN = "a-token-for-tests";

/** Starts serving a world, at a port of its own or at a given one. */
export async function serve(first, at = 0) {
  const of = { world: first, streams: new Set(), readers: new Set(), asked: [], missed: [] };
  const server = createServer((request, response) => void answer(of, request, response).catch((error) => {
    response.destroy();
    console.error(error);
  }));
  await new Promise((done) => server.listen(at, "127.0.0.1", done));
  const { port } = server.address();
  return {
    of,
    origin: `http://127.0.0.1:${port}`,
    address: `http://127.0.0.1:${port}/#token=${TOKEN}`,
    tell(event) {
      of.last = (of.last ?? 0) + 1;
      for (const stream of of.streams) stream.write(told(of.last, event, 0));
    },
    gap() {
      for (const stream of of.streams) stream.write("event: gap\ndata: {}\n\n");
    },
    /** A recording that grows goes on with a line. */
    push(line) {
      for (const reader of of.readers) reader.write(`${line}\n`);
    },
    end() {
      for (const reader of of.readers) reader.end();
    },
    close() {
      for (const stream of of.streams) stream.end();
      server.closeAllConnections();
      return new Promise((done) => server.close(done));
    },
  };
}

async function answer(of, request, response) {
  const url = new URL(request.url, "http://node");
  of.asked.push(`${request.method} ${url.pathname}`);
  response.on("finish", () => response.statusCode === 404 && of.missed.push(`${request.method} ${url.pathname}`));
  if (url.pathname === "/" || url.pathname.startsWith("/assets/") || url.pathname === "/favicon.svg") {
    return file(url.pathname === "/" ? "index.html" : url.pathname.slice(1), response);
  }
  const json = (status, body) => {
    response.writeHead(status, { ...HEADERS, "Content-Type": "application/json", "Cache-Control": "no-store" });
    response.end(JSON.stringify(body));
  };
  if (request.headers.authorization !== `Bearer ${TOKEN}`) {
    return json(401, { error: { code: "no_token", sentence: "There is no token.", remedy: "Run positron-net dashboard." } });
  }
  if (url.pathname === "/v1/events" && of.world.recording === null) return events(of, url, request, response);
  if (url.pathname === "/v1/recording" && of.world.recording !== null) {
    response.writeHead(200, { ...HEADERS, "Content-Type": "application/x-ndjson" });
    if (!of.world.grows) return response.end(of.world.recording);
    response.write(of.world.recording);
    of.readers.add(response);
    response.on("close", () => of.readers.delete(response));
    return undefined;
  }
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = chunks.length > 0 ? JSON.parse(Buffer.concat(chunks).toString()) : {};
  const said = of.world.answer(request.method, url, body);
  return said.status && said.body ? json(said.status, said.body) : json(200, said);
}

function events(of, url, request, response) {
  response.writeHead(200, { ...HEADERS, "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
  of.resumed = request.headers["last-event-id"] ?? null;
  of.streams.add(response);
  response.on("close", () => of.streams.delete(response));
  response.write(": here\n\n");
  if (of.resumed === null) {
    // What is kept is told to whoever asks for it.
    const kept = Number(url.searchParams.get("last") ?? 0);
    of.world.events.forEach((event, i) => {
      of.last = i + 1;
      if (i >= of.world.events.length - kept) response.write(told(of.last, event, 3600));
    });
  }
}

function told(id, { event, ...rest }, age_s) {
  const at = new Date(Date.now() - age_s * 1000).toISOString();
  return `id: ${id}\nevent: ${event}\ndata: ${JSON.stringify({ id, type: event, at, age_s, ...rest })}\n\n`;
}

async function file(name, response) {
  let bytes;
  try {
    bytes = await readFile(DIST + name);
  } catch {
    response.writeHead(404, HEADERS);
    return response.end();
  }
  response.writeHead(200, { ...HEADERS, "Content-Type": TYPES[name.split(".").pop()] ?? "application/octet-stream", "Content-Encoding": "gzip" });
  response.end(gzipSync(bytes));
}
