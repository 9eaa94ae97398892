// Makes the picture of the README from the page itself: a message on its way through 1,000 nodes.
//   node scripts/picture.mjs [RECORDING] [FILE]
// Without a recording a made-up one is drawn. With Inter installed (Debian: fonts-inter) it looks as
// the one that is committed.
import { readFileSync } from "node:fs";
import { stat } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { launch, skip, watched } from "../test/browser.mjs";
import { serve } from "../test/serve.mjs";
import { world } from "../test/world.mjs";
import { recording } from "./network.mjs";

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
await page.screenshot({ path: file });
await browser.close();
await site.close();
console.log(`${file}: ${Math.round((await stat(file)).size / 1000)} kB`);
