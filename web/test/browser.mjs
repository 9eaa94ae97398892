// Debian's Chromium, driven by playwright-core. Where there is none, tests skip and say so.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { chromium } from "playwright-core";

const CANDIDATES = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
export const executablePath = CANDIDATES.find((path) => path && existsSync(path)) ?? null;
export const skip = executablePath ? false : "skipped: no chromium here (apt-get install chromium, or set CHROMIUM)";
if (skip) console.log(skip);

const ARGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

export function launch() {
  return chromium.launch({ executablePath, headless: true, args: ARGS });
}

/** A page that keeps account of what must not happen: errors, and requests to other hosts. */
export async function watched(browser, origin, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1360, height: 860 }, ...options });
  const page = await context.newPage();
  const wrong = [];
  page.on("console", (message) => {
    const refused = /status of (4\d\d|503)/.test(message.text());
    if (["error", "warning"].includes(message.type()) && !refused) wrong.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => wrong.push(`error: ${error.message}`));
  page.on("request", (request) => {
    if (!request.url().startsWith(`${origin}/`) && !request.url().startsWith("blob:")) wrong.push(`request: ${request.url()}`);
  });
  return { page, context, wrong };
}

/** Waits until what is read of a page is as wanted: what a key does is drawn a moment after it. */
export async function becomes(page, read, wanted) {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const found = await read();
    try {
      return wanted instanceof RegExp ? assert.match(found, wanted) : assert.deepEqual(found, wanted);
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
    await page.evaluate(() => new Promise(requestAnimationFrame));
  }
}

export const VIEWS = ["", "topology", "peers", "gossip", "limits", "logs", "dht", "nat", "network"];
