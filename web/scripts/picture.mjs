// Makes the picture of the README from the page itself: a message on its way through 1,000 nodes.
//   node scripts/picture.mjs [RECORDING] [FILE]
// Without a recording a made-up one is drawn. With Inter installed (Debian: fonts-inter) it looks as
// the one that is committed.
import { readFileSync } from "node:fs";
import { stat, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { launch, skip, watched } from "../test/browser.mjs";
import { serve } from "../test/serve.mjs";
import { world } from "../test/world.mjs";
import { recording } from "./network.mjs";
import { palettePng } from "./png.mjs";

if (skip) process.exit(1);
const [source, file = fileURLToPath(new URL("../picture.png", import.meta.url))] = process.argv.slice(2);
const lines = source ? readFileSync(source, "utf8") : [...recording({ nodes: 1000, seconds: 60, seed: 11 })].join("\n");
const browser = await launch();
const site = await serve(world({ recording: lines }));
const { page } = await watched(browser, site.origin, { colorScheme: "dark", viewport: { width: 1280, height: 760 } });
await page.addInitScript(() => {
  document.addEventListener("scene", (event) => {
    window.scene = event.detail;
  });
});
await page.goto(site.address);
await page.getByText(/nodes up/).waitFor();
await page.waitForFunction(() => window.scene?.moving, null, { timeout: 60_000 });
await page.waitForFunction(() => window.scene.moving === false, null, { timeout: 60_000 });
await page.locator("tbody .id").nth(Number(process.env.MESSAGE ?? 8)).click();
// It is stopped where about half of the nodes have the message.
await page.waitForFunction(() => {
  const heat = window.scene.view.glow?.heat ?? [];
  return heat.filter((one) => one >= 0).length > heat.length * 0.45;
}, null, { timeout: 60_000, polling: "raf" });
await page.getByRole("button", { name: "Pause" }).click();
await page.mouse.move(1, 1);
await page.evaluate(() => document.activeElement?.blur());
await page.waitForTimeout(500);
const shot = (await page.screenshot()).toString("base64");
// The browser knows how to read a PNG: in a page of its own, whose policy lets it.
const reader = await browser.newPage();
const { width, height, pixels } = await reader.evaluate(async (shot) => {
  const image = await createImageBitmap(await (await fetch(`data:image/png;base64,${shot}`)).blob());
  const context = new OffscreenCanvas(image.width, image.height).getContext("2d");
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, image.width, image.height);
  let pixels = "";
  for (let i = 0; i < data.length; i += 8192) pixels += String.fromCharCode(...data.subarray(i, i + 8192));
  return { width: image.width, height: image.height, pixels: btoa(pixels) };
}, shot);
await writeFile(file, palettePng(width, height, Buffer.from(pixels, "base64")));
await browser.close();
await site.close();
console.log(`${file}: ${Math.round((await stat(file)).size / 1000)} kB`);
