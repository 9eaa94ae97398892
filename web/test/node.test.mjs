// The page as a real node serves it, in a network of three.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { violations, visit } from "./axe.mjs";
import { launch, skip as noBrowser, VIEWS, watched } from "./browser.mjs";
import { recording } from "../scripts/network.mjs";
import { HOSTILE } from "./world.mjs";

const BUILT = ["debug", "release"].map((kind) => fileURLToPath(new URL(`../../target/${kind}/positron-net`, import.meta.url)));
const command = [process.env.POSITRON_NET, ...BUILT].find((path) => path && existsSync(path));
const skip = noBrowser || (command ? false : "skipped: no positron-net is built (cargo build -p positron-net, or set POSITRON_NET)");
if (skip && !noBrowser) console.log(skip);

async function freePort() {
  const server = createServer();
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}

/** Asks again and again until there is an answer. */
async function until(ask, what) {
  const deadline = Date.now() + 60_000;
  for (;;) {
    const answer = await ask().catch(() => null);
    if (answer) return answer;
    if (Date.now() > deadline) assert.fail(`there never was ${what}`);
    await new Promise((done) => setImmediate(done));
  }
}

describe("the page of a real node", { skip }, () => {
  const nodes = [];
  let folder;
  let browser;
  let origin;
  let token;

  function start(name, port, ...more) {
    const child = spawn(command, ["start", "--port", String(port), "--data-dir", join(folder, name), ...more], { stdio: "ignore" });
    nodes.push(child);
    return child;
  }

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "positron-page-"));
    browser = await launch();
    const [first, api] = [await freePort(), await freePort()];
    start("a", first, "--api", `127.0.0.1:${api}`);
    origin = `http://127.0.0.1:${api}`;
    await until(() => fetch(`${origin}/livez`).then((response) => response.ok), "a node that answers");
    token = (await readFile(join(folder, "a", "api.token"), "utf8")).trim();
    for (const name of ["b", "c"]) start(name, await freePort(), "--bootstrap", `127.0.0.1:${first}`);
    await until(async () => (await ask("/v1/peers")).peers.length === 2, "a network of three");
  });

  after(async () => {
    await browser?.close();
    await Promise.all(nodes.filter((node) => node.exitCode === null).map((node) => new Promise((done) => {
      node.on("exit", done);
      node.kill();
    })));
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  const ask = (path, options = {}) => fetch(origin + path, { ...options, headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" } }).then((response) => response.json());

  async function story(then, options = {}) {
    const { page, context, wrong } = await watched(browser, origin, options);
    try {
      await page.goto(`${origin}/#token=${token}`);
      await page.waitForSelector("h1");
      await then(page);
      assert.deepEqual(wrong, []);
    } finally {
      await context.close();
    }
  }

  test("it serves the page that is built here", async () => {
    const served = await (await fetch(`${origin}/`)).text();
    assert.equal(served, await readFile(new URL("../dist/index.html", import.meta.url), "utf8"), "build positron-net anew");
  });

  for (const colorScheme of ["light", "dark"]) {
    test(`every view has its answers, and no violation of accessibility, in the ${colorScheme} theme`, async () => {
      await story(async (page) => {
        await page.locator(".health strong", { hasText: /2 peers|ready/i }).waitFor();
        for (const view of VIEWS) {
          await visit(page, view);
          assert.deepEqual(await violations(page), [], view);
        }
        await visit(page, "topology");
        assert.equal(await page.getByRole("table", { name: "Nodes" }).locator("tbody tr").count(), 3);
      }, { colorScheme });
    });
  }

  test("a value is stored with others, found, and the lookup is on the ring", async () => {
    await until(async () => (await ask("/v1/dht")).total_nodes === 2, "a table of three");
    await story(async (page) => {
      await visit(page, "dht");
      await page.getByText("Serves the table").waitFor();
      assert.equal(await page.locator(".ring .node").count(), 2);
      await page.getByLabel("Key", { exact: true }).fill("my_key");
      await page.getByLabel("Value", { exact: true }).fill("a value");
      await page.locator('form.pad button:text-is("Store")').click();
      // On a machine with much to do one of them may not have answered in time.
      await page.getByText(/Stored: (1 other node keeps|2 other nodes keep) it/).waitFor();
      await page.getByRole("region", { name: "Published by this node" }).locator("tbody tr").waitFor();
      await page.getByRole("button", { name: "Look up" }).click();
      await page.getByLabel("Key", { exact: true }).fill("my_key");
      await page.locator('form.pad button:text-is("Look up")').click();
      await page.getByRole("region", { name: "What was found" }).getByText("a value").waitFor();
      await page.getByLabel("Id of a node, or a key").fill("my_key");
      await page.getByRole("button", { name: "Find" }).click();
      const asked = page.getByRole("region", { name: "Questions of the lookup" }).locator("tbody tr");
      await asked.first().waitFor();
      await page.getByLabel("Moment of the lookup").focus();
      await page.keyboard.press("End");
      const answered = await asked.getByText("Answered").count();
      assert.ok(answered > 0);
      await page.waitForFunction((count) => document.querySelectorAll(".ring .way.answered").length === count, answered);
    });
  });

  test("no view asks for what is not there", async () => {
    await story(async (page) => {
      const missed = [];
      page.on("response", (response) => {
        if (response.status() === 404) missed.push(response.url());
      });
      for (const view of VIEWS) {
        await visit(page, view);
        await page.waitForTimeout(500);
      }
      assert.deepEqual(missed, []);
    });
  });

  test("what the node kept is told at load", async () => {
    await story(async (page) => {
      await page.locator(".feed li", { hasText: "joined at" }).first().waitFor();
    });
  });

  test("a ban for a hostile reason is shown as text, and lifted", async () => {
    await story(async (page) => {
      await visit(page, "peers");
      await page.getByRole("button", { name: /Ban an address/ }).click();
      await page.getByLabel("Whom").fill("203.0.113.0/24");
      await page.getByLabel("Reason").fill(HOSTILE);
      await page.getByRole("button", { name: "Ban", exact: true }).click();
      await page.waitForFunction(() => !document.querySelector("dialog").open);
      await page.getByRole("button", { name: "Bans", exact: true }).click();
      await page.locator("td", { hasText: "<img src=x" }).waitFor();
      await visit(page, "");
      await page.locator(".feed li", { hasText: "<img src=x" }).waitFor();
      assert.deepEqual(await page.evaluate(() => [document.querySelectorAll("main img").length, "owned" in window]), [0, false]);
      await visit(page, "peers");
      await page.getByRole("button", { name: "Bans", exact: true }).click();
      await page.getByRole("button", { name: "Unban 203.0.113.0/24" }).click();
      await page.getByText("203.0.113.0/24 may come back.").waitFor();
    });
  });

  test("a test message is sent, and followed or said why not", async () => {
    await story(async (page) => {
      await visit(page, "gossip");
      await page.getByRole("button", { name: /Send a test/ }).click();
      await page.getByText(/Forwarded to|does not trace messages/).first().waitFor();
    });
  });

  test("a peer that goes is told as it goes", async () => {
    await story(async (page) => {
      await visit(page, "peers");
      await page.locator("tbody tr").nth(1).waitFor();
      nodes[2].kill();
      await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 1);
      if ((await ask("/v1/peers")).lost) {
        await page.getByRole("button", { name: "Lost", exact: true }).click();
        await page.locator("tbody tr", { hasText: /the (peer|network)/ }).first().waitFor();
      }
      await visit(page, "");
      await page.locator(".feed li", { hasText: " left: " }).waitFor();
    });
  });

  test("a recording is shown by the command that replays it", async () => {
    const file = join(folder, "network.ndjson");
    await writeFile(file, `${[...recording({ nodes: 120, seconds: 10 })].join("\n")}\n`);
    const replay = spawn(command, ["--json", "replay", file], { stdio: ["ignore", "pipe", "inherit"] });
    nodes.push(replay);
    const gone = once(replay, "exit").then(([code]) => assert.fail(`replay ended with ${code}`));
    gone.catch(() => {});
    const [first] = await Promise.race([once(createInterface(replay.stdout), "line"), gone]);
    const address = JSON.parse(first).page;
    const { page, context, wrong } = await watched(browser, new URL(address).origin);
    const missed = [];
    page.on("response", (response) => {
      if (response.status() === 404) missed.push(response.url());
    });
    await page.goto(address);
    await page.getByText("120 of 120 nodes up").waitFor();
    assert.deepEqual(missed, [], "a recording is asked for nothing but itself");
    assert.deepEqual(await violations(page), []);
    await page.locator("tbody .id").first().click();
    await page.getByText("Half had it after").waitFor();
    assert.deepEqual(wrong, []);
    await context.close();
  });
});
