// Takes screenshots of every view in both themes: node scripts/look.mjs FOLDER
import { mkdirSync } from "node:fs";
import { launch, VIEWS, watched } from "../test/browser.mjs";
import { serve } from "../test/serve.mjs";
import { world } from "../test/world.mjs";
import { recording } from "./network.mjs";

const folder = process.argv[2] ?? "test/screenshots";
const only = process.argv[3];
mkdirSync(folder, { recursive: true });
const browser = await launch();
const shoot = async (of, name, hash, theme, then = async () => {}) => {
  if (only && !name.startsWith(only)) return;
  const site = await serve(of);
  const { page, context, wrong } = await watched(browser, site.origin, { colorScheme: theme });
  await page.goto(site.address);
  await page.waitForSelector("h1");
  await page.evaluate((to) => (location.hash = to), hash);
  await page.waitForTimeout(1500);
  await then(page);
  await page.screenshot({ path: `${folder}/${name}-${theme}.png` });
  if (wrong.length > 0) console.log(name, wrong);
  await context.close();
  await site.close();
};
const lines = [...recording({ nodes: 1000, seconds: 60 })].join("\n");
for (const theme of ["light", "dark"]) {
  const calm = world({ peers: 9, nodes: 34 });
  for (const view of VIEWS) {
    await shoot(calm, view || "overview", `#/${view}`, theme, async (page) => {
      if (view !== "gossip") return;
      await page.getByRole("button", { name: /Send a test/ }).click();
      await page.waitForTimeout(5200);
    });
  }
  await shoot(calm, "dht-lookup", "#/dht", theme, async (page) => {
    await page.getByLabel("Id of a node, or a key").fill("my_key");
    await page.getByRole("button", { name: "Find" }).click();
    await page.waitForTimeout(1800);
  });
  await shoot(calm, "peer", `#/peers/${calm.live[3].node_id}`, theme);
  await shoot(world({ peers: 0, ready: false }), "alone", "#/", theme);
  await shoot(world({ peers: 0, ready: false }), "alone-peers", "#/peers", theme);
  await shoot(world({ peers: 40, nodes: 1000 }), "large", "#/topology", theme, (page) => page.waitForTimeout(2500));
  await shoot(world({ recording: lines }), "simulation", "#/network", theme, async (page) => {
    await page.waitForTimeout(4000);
    await page.locator("tbody .id").nth(20).click();
    await page.waitForTimeout(1800);
  });
}
await browser.close();
