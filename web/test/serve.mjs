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
  const of = { world: first, streams: new Set(), asked: [] };
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
      for (const stream of of.streams) stream.write(`id: ${of.last}\nevent: ${event.event}\ndata: ${JSON.stringify(event)}\n\n`);
    },
    gap() {
      for (const stream of of.streams) stream.write("event: gap\ndata: {}\n\n");
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
  if (url.pathname === "/v1/events" && of.world.recording === null) return events(of, request, response);
  if (url.pathname === "/v1/recording" && of.world.recording !== null) {
    response.writeHead(200, { ...HEADERS, "Content-Type": "application/x-ndjson" });
    return response.end(of.world.recording);
  }
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = chunks.length > 0 ? JSON.parse(Buffer.concat(chunks).toString()) : {};
  const said = of.world.answer(request.method, url, body);
  return said.status && said.body ? json(said.status, said.body) : json(200, said);
}

function events(of, request, response) {
  response.writeHead(200, { ...HEADERS, "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
  of.resumed = request.headers["last-event-id"] ?? null;
  of.streams.add(response);
  response.on("close", () => of.streams.delete(response));
  response.write(": here\n\n");
  if (of.resumed === null) {
    for (const event of of.world.events) {
      of.last = (of.last ?? 0) + 1;
      response.write(`id: ${of.last}\nevent: ${event.event}\ndata: ${JSON.stringify(event)}\n\n`);
    }
  }
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
