// Measures the page in headless Chromium with software rendering, and prints a table. Nothing is
// asserted: the figures depend on the machine. node scripts/measure.mjs
import { cpus, loadavg } from "node:os";
import { launch, skip, watched } from "../test/browser.mjs";
import { serve } from "../test/serve.mjs";
import { world } from "../test/world.mjs";
import { recording } from "./network.mjs";

if (skip) process.exit(0);
const browser = await launch();
const rows = [];
const report = (what, figure, wanted) => {
  rows.push([what, figure, wanted]);
  console.error(`${what}: ${figure} (wanted ${wanted})`);
};
const middle = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

async function open(of, then) {
  const site = await serve(of);
  const { page, context } = await watched(browser, site.origin);
  // The scene of a picture announces itself, so that it can be asked to draw.
  await page.addInitScript(() => {
    document.addEventListener("scene", (event) => {
      window.scene = event.detail;
    });
  });
  try {
    return await then(page, site);
  } finally {
    await context.close();
    await site.close();
  }
}

const paints = [];
for (let i = 0; i < 7; i += 1) {
  await open(world({ peers: 9 }), async (page, site) => {
    await page.goto(site.address);
    await page.getByText("Ready:").first().waitFor();
    paints.push(await page.evaluate(() => new Promise((done) => {
      const seen = () => performance.getEntriesByName("first-contentful-paint")[0]?.startTime;
      const wait = () => (seen() ? done(seen()) : setTimeout(wait, 20));
      wait();
    })));
  });
}
report("first contentful paint, median of 7", `${Math.round(middle(paints))} ms`, "≤ 300 ms");

/** Frames a second while every frame is drawn anew. */
const frames = (page, how) => page.evaluate((how) => new Promise((done) => {
  const began = performance.now();
  let n = 0;
  const step = (now) => {
    n += 1;
    if (how === "all") window.scene.edgesAt = null;
    if (how === "pan") window.scene.zoomBy(n % 2 ? 1.01 : 1 / 1.01);
    window.scene.paint();
    // What was drawn is drawn when it is read: the software renderer defers it otherwise.
    window.scene.context.getImageData(0, 0, 1, 1);
    if (now - began < 3000) requestAnimationFrame(step);
    else done((n * 1000) / (performance.now() - began));
  };
  requestAnimationFrame(step);
}), how);

/** How long after a move of the pointer the frame is made in which the tip stands. */
const pointer = (page) => page.evaluate(async () => {
  const canvas = document.querySelector(".picture canvas");
  const box = canvas.getBoundingClientRect();
  // What is posted in a frame is heard when that frame is made.
  const frame = () => new Promise((done) => requestAnimationFrame(() => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = done;
    port2.postMessage(0);
  }));
  const took = [];
  for (let i = 0; i < 100; i += 1) {
    const [x, y] = window.scene.place((i * 37) % window.scene.view.nodes.length);
    const began = performance.now();
    canvas.dispatchEvent(new PointerEvent("pointermove", { clientX: box.left + x, clientY: box.top + y, bubbles: true }));
    const stands = !document.querySelector(".tip").hidden;
    await frame();
    if (stands) took.push(performance.now() - began);
    canvas.dispatchEvent(new PointerEvent("pointerleave"));
    await frame();
  }
  return took;
});

async function look(page, name, wanted) {
  const [dots, edges] = await page.evaluate(() => [window.scene.view.nodes.length, window.scene.view.edges.length]);
  report(`${name}: ${dots.toLocaleString("en")} dots, ${edges.toLocaleString("en")} edges, frames a second`, `${(await frames(page, "cached")).toFixed(0)}`, `≥ ${wanted}`);
  report(`${name}: frames a second while zooming`, `${(await frames(page, "pan")).toFixed(0)}`, "–");
  report(`${name}: frames a second, every edge anew`, `${(await frames(page, "all")).toFixed(0)}`, "–");
  await page.waitForTimeout(400);
  const took = await pointer(page);
  report(`${name}: pointer to tip, median and worst of ${took.length}`, `${Math.round(middle(took))} and ${Math.round(Math.max(...took))} ms`, "≤ 50 ms");
}

for (const [nodes, wanted] of [[1000, 50], [10_000, 30]]) {
  await open(world({ peers: 40, nodes }), async (page, site) => {
    await page.goto(site.address);
    await page.getByText("Ready:").first().waitFor();
    const began = Date.now();
    await page.evaluate(() => {
      location.hash = "#/topology";
    });
    await page.waitForFunction(() => window.scene?.moving, null, { timeout: 60_000 });
    await page.waitForFunction(() => window.scene.moving === false, null, { timeout: 120_000 });
    const name = `${nodes.toLocaleString("en")} nodes`;
    report(`${name}: settled after`, `${((Date.now() - began) / 1000).toFixed(1)} s`, "–");
    await look(page, name, wanted);
    const dots = await page.evaluate(() => window.scene.view.nodes.length);
    if (dots >= nodes) return;
    // What is a dot for each network becomes every node when it is zoomed in.
    await page.evaluate(() => window.scene.zoomBy(4));
    await page.waitForFunction((nodes) => window.scene.view.nodes.length === nodes, nodes);
    await look(page, `${name}, zoomed in`, wanted);
  });
}

const lines = [...recording({ nodes: 1000, seconds: 60 })].join("\n");
await open(world({ recording: lines }), async (page, site) => {
  const began = Date.now();
  await page.goto(site.address);
  await page.getByText(/of 1,000 nodes up/).waitFor();
  await page.waitForFunction(() => window.scene?.view.nodes.length === 1000 && window.scene.frames > 0);
  report(`recording of 1,000 nodes for a minute (${(lines.length / 1e6).toFixed(1)} MB) opens in`, `${((Date.now() - began) / 1000).toFixed(2)} s`, "< 3 s");
  await page.waitForFunction(() => window.scene.moving === false, null, { timeout: 60_000 });
  report("the same, until it is laid out", `${((Date.now() - began) / 1000).toFixed(1)} s`, "–");
  await page.locator("tbody .id").nth(20).click();
  await page.waitForTimeout(500);
  const drawn = await page.evaluate(() => new Promise((done) => {
    const [from, began] = [window.scene.frames, performance.now()];
    setTimeout(() => done(((window.scene.frames - from) * 1000) / (performance.now() - began)), 3000);
  }));
  report("frames a second while a message spreads", drawn.toFixed(0), "≥ 30");
});

console.log(`${cpus().length} cores, load ${loadavg()[0].toFixed(1)}, Chromium ${browser.version()}, software rendering, 1,360 × 860\n`);
console.log("| what | measured | wanted |\n| --- | --- | --- |");
for (const row of rows) console.log(`| ${row.join(" | ")} |`);
await browser.close();
