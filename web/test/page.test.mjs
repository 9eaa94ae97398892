// The page in a real browser, over made-up answers of a node.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { violations, visit } from "./axe.mjs";
import { becomes, launch, skip, VIEWS, watched } from "./browser.mjs";
import { serve } from "./serve.mjs";
import { HOSTILE, world } from "./world.mjs";
import { recording } from "../scripts/network.mjs";

describe("the page", { skip }, () => {
  let browser;
  before(async () => {
    browser = await launch();
  });
  after(() => browser?.close());

  /** Opens the page on a world, runs a story, and looks that nothing went wrong meanwhile. */
  async function story(of, then, options = {}) {
    const site = await serve(of);
    const { page, context, wrong } = await watched(browser, site.origin, options);
    try {
      await page.goto(options.address ?? site.address);
      await page.waitForSelector("h1");
      await then(page, site, context);
      assert.deepEqual(wrong, []);
    } finally {
      await context.close();
      await site.close();
    }
  }

  for (const colorScheme of ["light", "dark"]) {
    test(`every view is without a violation of accessibility in the ${colorScheme} theme`, async () => {
      await story(world({ peers: 9, nodes: 34 }), async (page) => {
        for (const view of VIEWS) {
          await visit(page, view);
          assert.deepEqual(await violations(page), [], view);
        }
        await visit(page, "topology");
        await page.getByRole("button", { name: "Table" }).click();
        assert.deepEqual(await violations(page), [], "topology as a table");
        await visit(page, "peers");
        for (const tab of ["Lost", "Dials", "Bans"]) {
          await page.getByRole("button", { name: tab, exact: true }).click();
          assert.deepEqual(await violations(page), [], tab);
        }
        await page.getByRole("button", { name: /Ban an address/ }).click();
        assert.deepEqual(await violations(page), [], "the dialog of a ban");
        await page.getByRole("button", { name: "Cancel" }).click();
        await page.getByRole("button", { name: "Connected", exact: true }).click();
        await page.locator("tbody .id").first().click();
        await page.waitForSelector("aside");
        assert.deepEqual(await violations(page), [], "one peer");
        await visit(page, "gossip");
        await page.getByRole("button", { name: /Send a test/ }).click();
        await page.getByText("others answered").waitFor();
        assert.deepEqual(await violations(page), [], "a message");
        await visit(page, "dht");
        await page.getByLabel("Id of a node, or a key").fill("my_key");
        await page.getByRole("button", { name: "Find" }).click();
        await page.getByRole("region", { name: "Questions of the lookup" }).waitFor();
        assert.deepEqual(await violations(page), [], "a lookup");
        await page.getByRole("button", { name: "Look up" }).click();
        assert.deepEqual(await violations(page), [], "looking up a value");
      }, { colorScheme });
      await story(world({ peers: 0, ready: false }), async (page) => {
        for (const view of ["", "topology", "peers", "gossip"]) {
          await visit(page, view);
          assert.deepEqual(await violations(page), [], `${view}, alone`);
        }
      }, { colorScheme });
      const lines = [...recording({ nodes: 60, seconds: 6 })].join("\n");
      await story(world({ recording: lines }), async (page) => {
        await page.getByText("60 of 60 nodes up").waitFor();
        assert.deepEqual(await violations(page), [], "a simulation");
        await page.locator("tbody .id").first().click();
        await page.getByText("Half had it after").waitFor();
        assert.deepEqual(await violations(page), [], "a message of a simulation");
      }, { colorScheme });
    });
  }

  test("the token leaves the address bar, and without one the page asks for it", async () => {
    await story(world(), async (page, site, context) => {
      assert.ok(!page.url().includes("token"));
      const other = await context.newPage();
      await other.goto(site.origin);
      await other.getByText("Ready:").first().waitFor();
      assert.equal(await other.getByText("wants to see its token").count(), 0, "another tab hands it over");
    });
    const site = await serve(world());
    const { page, context } = await watched(browser, site.origin);
    await page.goto(site.origin);
    await page.getByText("wants to see its token").waitFor();
    await page.getByLabel("Token, or the whole address").fill(site.address);
    await page.getByRole("button", { name: "Open" }).click();
    await page.getByText("Ready:").first().waitFor();
    await context.close();
    await site.close();
  });

  test("a walk by keyboard alone reaches every view, sorts, bans, unbans and walks along links", async () => {
    await story(world({ peers: 9, nodes: 34 }), async (page) => {
      const focused = () => page.evaluate(() => document.activeElement?.ariaLabel ?? document.activeElement?.labels?.[0]?.textContent ?? document.activeElement?.textContent ?? "");
      const tabTo = async (wanted) => {
        for (let i = 0; i < 150; i += 1) {
          await page.keyboard.press("Tab");
          if (wanted.test((await focused()).trim())) return;
        }
        assert.fail(`Tab does not lead to ${wanted}`);
      };
      const words = ["Overview", "Topology", "Peers", "Gossip", "Storage and limits", "Logs", "DHT", "NAT", "Simulated network"];
      for (const word of words) {
        await tabTo(new RegExp(`^${word}\\d*$`));
        await page.keyboard.press("Enter");
        await page.waitForFunction((to) => document.querySelector("h1")?.textContent === to, word);
      }
      await tabTo(/^Topology$/);
      await page.keyboard.press("Enter");
      await tabTo(/^A picture of 34 nodes/);
      await page.keyboard.press("ArrowRight");
      const heard = () => page.locator(".picture [aria-live]").innerText();
      await becomes(page, heard, /This node/);
      await page.keyboard.press("ArrowRight");
      await becomes(page, heard, /(UDP|TCP)/);
      await page.keyboard.press("Escape");

      await tabTo(/^Peers\d*$/);
      await page.keyboard.press("Enter");
      await tabTo(/^Trust/);
      await page.keyboard.press("Enter");
      await page.keyboard.press("Enter");
      await becomes(page, () => page.locator("th", { hasText: "Trust" }).getAttribute("aria-sort"), "descending");
      await tabTo(/^Ban an address/);
      await page.keyboard.press("Enter");
      await page.waitForSelector('input[name="whom"]:focus');
      await page.keyboard.type("198.51.100.0/24");
      // What was typed stays, whatever is drawn anew meanwhile.
      await page.waitForResponse((response) => response.url().endsWith("/v1/peers"));
      await tabTo(/^Reason/);
      await page.keyboard.type("a reason");
      await page.keyboard.press("Enter");
      await page.waitForFunction(() => !document.querySelector("dialog").open);
      await tabTo(/^Bans$/);
      await page.keyboard.press("Enter");
      await page.getByText("a reason").waitFor();
      await tabTo(/^Unban 198\.51\.100\.0\/24$/);
      await page.keyboard.press("Enter");
      await page.getByText("198.51.100.0/24 may come back.").waitFor();
      await page.getByText("a reason").waitFor({ state: "detached" });
    });
  });

  test("a value is stored, found and deleted by the forms of the hash table", async () => {
    await story(world({ peers: 9 }), async (page, site) => {
      await visit(page, "dht");
      await page.getByText("Serves the table").waitFor();
      const act = (name) => page.getByRole("group", { name: "What to do" }).getByRole("button", { name }).click();
      const submit = (name) => page.locator(`form.pad button:text-is("${name}")`).click();
      await act("Look up");
      await page.getByLabel("Key", { exact: true }).fill("my_key");
      await submit("Look up");
      await page.getByText("nothing is stored under that key: 7 nodes were asked").waitFor();
      await act("Store");
      await page.getByLabel("Key", { exact: true }).fill("my_key");
      await page.getByLabel("Value", { exact: true }).fill("a value");
      await page.getByLabel("Hours to live").fill("2");
      await submit("Store");
      await page.getByText("Stored: 4 other nodes keep it.").waitFor();
      await page.getByRole("region", { name: "Published by this node" }).waitFor();
      await act("Look up");
      await page.getByLabel("Key", { exact: true }).fill("my_key");
      await submit("Look up");
      await page.getByText("4 of 7 that were asked had it").waitFor();
      await page.getByRole("region", { name: "What was found" }).getByText("a value").waitFor();
      await act("Delete");
      await page.getByLabel("Key", { exact: true }).fill("my_key");
      await submit("Delete");
      await page.getByText("Deleted: a tombstone took its place").waitFor();
      await page.getByLabel("Key", { exact: true }).fill("theirs");
      await submit("Delete");
      await page.getByText("it is not yours, but of").waitFor();
      await act("Store");
      await page.getByLabel("Key", { exact: true }).fill("json");
      await page.getByLabel("Kept as").selectOption("json");
      await page.getByLabel("Value", { exact: true }).fill("{");
      await submit("Store");
      await page.getByText("The value is no JSON").waitFor();
      assert.equal(site.of.asked.filter((one) => one === "POST /v1/dht/put").length, 1, "nothing was sent");
      // Without a name of its own the hash of the value is the key.
      await page.getByLabel("Whose key").selectOption("immutable");
      await page.getByLabel("Key", { exact: true }).waitFor({ state: "detached" });
    });
  });

  test("the ring of the hash table is walked by keys, and a lookup is played on it step by step", async () => {
    const of = world({ peers: 9 });
    await story(of, async (page) => {
      await visit(page, "dht");
      const ring = page.getByRole("application", { name: /^A ring of all places with 9 nodes/ });
      const kinds = () => page.locator(".ring .node").evaluateAll((all) => ["well", "doubt", "dead"].map((kind) => all.filter((one) => one.classList.contains(kind)).length));
      await becomes(page, kinds, [7, 1, 1]);
      assert.equal(await page.locator(".ring .node").count(), 9);
      await ring.focus();
      // All nine of them, and then the first again; the table shows who is chosen.
      const heard = [];
      for (let i = 0; i < 10; i += 1) {
        const before = heard.at(-1) ?? "";
        await page.keyboard.press("ArrowRight");
        await page.waitForFunction((last) => ![last, ""].includes(document.querySelector(".ring [aria-live]").textContent), before);
        heard.push(await page.locator(".ring [aria-live]").innerText());
        assert.match(heard[i], /at 198\.51\.100\.\d+:8888, (answers in|missed|does not)/);
        await becomes(page, () => page.locator("tr.chosen").count(), 1);
      }
      assert.deepEqual([new Set(heard).size, heard[9]], [9, heard[0]]);
      await page.keyboard.press("Escape");
      await page.locator("tr.chosen").waitFor({ state: "detached" });

      await page.getByLabel("Id of a node, or a key").fill(of.names[5]);
      await page.getByRole("button", { name: "Find" }).click();
      await page.getByText("It is at 198.51.100.7:8888.").waitFor();
      // As for who wants less motion, all of it is there; then from its beginning, by the slider.
      const rows = page.getByRole("region", { name: "Questions of the lookup" }).locator("tbody tr");
      await becomes(page, () => rows.count(), 7);
      const ways = (...kinds) => () => Promise.all(kinds.map((kind) => page.locator(`.ring .way.${kind}`).count()));
      const slider = page.getByLabel("Moment of the lookup");
      await slider.focus();
      await page.keyboard.press("Home");
      await becomes(page, ways("asked", "answered"), [1, 0]);
      await page.keyboard.press("End");
      await becomes(page, ways("asked", "answered", "slow", "failed"), [0, 5, 1, 1]);
      assert.equal(await slider.getAttribute("aria-valuetext"), "121 ms");
    });
  });

  test("who serves nobody says why, and who is alone that nobody else keeps it", async () => {
    await story(world({ peers: 0, nodes: 0 }), async (page) => {
      await visit(page, "dht");
      await page.getByText("Only asks", { exact: true }).waitFor();
      await page.getByText("it only asks:").waitFor();
      await page.getByText("Nobody is known.").first().waitFor();
      await page.getByLabel("Key", { exact: true }).fill("k");
      await page.getByLabel("Value", { exact: true }).fill("v");
      await page.locator('form.pad button:text-is("Store")').click();
      await page.getByText("Stored: nobody but this node keeps it; no other node").waitFor();
    });
  });

  test("what hostile peers write is text in every view", async () => {
    const of = world({ peers: 9, nodes: 34, hostile: true });
    await story(of, async (page, site) => {
      site.tell({ event: "peer_left", peer: HOSTILE, reason: HOSTILE });
      site.tell({ event: HOSTILE.replaceAll(/[\r\n]/g, ""), text: HOSTILE });
      let shown = 0;
      const look = async (where) => {
        const found = await page.evaluate(() => ({
          markup: document.querySelectorAll("main img, main script").length,
          owned: "owned" in window || document.title === "owned",
          text: document.body.innerText + [...document.querySelectorAll("[title], [aria-label]")].map((one) => one.title + one.ariaLabel).join(),
        }));
        assert.deepEqual([found.markup, found.owned], [0, false], where);
        // No escape and no turner of text is left as it came.
        assert.doesNotMatch(found.text, /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/, where);
        shown += found.text.includes("<img src=x") ? 1 : 0;
      };
      for (const view of VIEWS) {
        await visit(page, view);
        await look(view);
      }
      await visit(page, "peers");
      for (const tab of ["Lost", "Dials", "Bans"]) {
        await page.getByRole("button", { name: tab, exact: true }).click();
        await page.getByText("<img src=x").first().waitFor();
        await look(tab);
      }
      await visit(page, `peers/${of.live[3].node_id}`);
      await page.getByText("\\u{1b}[31mred").first().waitFor();
      await look("one peer");
      await visit(page, "gossip");
      await page.getByRole("button", { name: /Send a test/ }).click();
      await page.getByText("others answered").waitFor();
      await look("a message");
      assert.ok(shown >= 8, `the hostile text was seen in ${shown} places only`);
    });
  });

  test("a recording with hostile names and broken lines is shown as far as it makes sense", async () => {
    const head = JSON.stringify({ positron_recording: 1, seed: HOSTILE, nodes: ["a", HOSTILE, "c"], step_ms: 100 });
    const lines = [
      head, "not json", "null", '{"t_ms":"x"}',
      '{"t_ms":0,"up":[0,1,2,99,-1,"x"],"links":[[0,1],[1,2],[0,99],["a",1],7]}',
      '{"t_ms":100,"hops":[["m",0,1,20],["m",1,2,30],["m",0,99,1],5]}',
      '{"t_ms":50}',
    ];
    await story(world({ recording: lines.join("\n") }), async (page) => {
      await page.getByText("3 of 3 nodes up, 2 links").waitFor();
      await page.getByText("5 lines were not understood").waitFor();
      assert.equal(await page.evaluate(() => "owned" in window), false);
    });
    await story(world({ recording: '{"no":"recording"}' }), async (page) => {
      await page.getByText("This is no recording").waitFor();
    });
  });

  test("when the node goes, the page says so, keeps what it knew, and goes on after the last event", async () => {
    const of = world({ peers: 4 });
    const site = await serve(of);
    const { page, context } = await watched(browser, site.origin);
    await page.goto(site.address);
    await page.getByText("is banned: its score fell too low").waitFor();
    const port = Number(new URL(site.origin).port);
    await site.close();
    await page.getByText("The node has not answered for").waitFor();
    assert.ok(await page.getByText("Peers connected").isVisible());
    const again = await serve(of, port);
    await page.getByText("The node has not answered for").waitFor({ state: "detached", timeout: 30_000 });
    await page.waitForFunction(() => document.body.innerText.includes("Ready:"));
    for (let i = 0; again.of.resumed === undefined && i < 100; i += 1) await page.waitForTimeout(100);
    assert.equal(again.of.resumed, "5", "the stream goes on after the last id");
    const before = again.of.asked.filter((one) => one === "GET /v1/status").length;
    again.gap();
    await page.waitForFunction(() => true);
    for (let i = 0; again.of.asked.filter((one) => one === "GET /v1/status").length === before && i < 100; i += 1) await page.waitForTimeout(50);
    assert.ok(again.of.asked.filter((one) => one === "GET /v1/status").length > before, "a gap makes the page ask anew");
    await context.close();
    await again.close();
  });

  test("three tabs read one stream, and the next one goes on when its reader closes", async () => {
    await story(world({ peers: 2 }), async (page, site, context) => {
      const others = [await context.newPage(), await context.newPage()];
      for (const other of others) {
        await other.goto(site.origin);
        await other.getByText("Ready:").first().waitFor();
      }
      site.tell({ event: "storage_back" });
      for (const tab of [page, ...others]) await tab.getByText("The disk takes what it is given again").waitFor();
      assert.equal(site.of.streams.size, 1);
      await page.close();
      for (let i = 0; site.of.resumed !== "6" && i < 100; i += 1) await others[0].waitForTimeout(50);
      assert.equal(site.of.resumed, "6");
      site.tell({ event: "storage_waits", reason: "it is full" });
      for (const tab of others) await tab.getByText("it is full").waitFor();
    });
  });

  test("what the node kept is told at load with the time at which it was, to every tab", async () => {
    await story(world({ peers: 2 }), async (page, site, context) => {
      const old = page.locator(".feed li", { hasText: "is banned: its score fell too low" });
      await old.waitFor();
      const hours = await page.evaluate(() => new Date(Date.now() - 3600_000).toLocaleTimeString("en-GB").slice(0, 2));
      assert.equal((await old.locator("time").innerText()).split(" ").at(-1).slice(0, 2), hours, "not the time of loading");
      const other = await context.newPage();
      await other.goto(site.origin);
      await other.locator(".feed li", { hasText: "is banned: its score fell too low" }).waitFor();
      assert.equal(await other.getByText("Nothing yet").count(), 0);
      assert.equal(site.of.streams.size, 1);
    });
  });

  test("what is not offered is not asked, in no view of a node, a simulation or a recording", async () => {
    const lines = [...recording({ nodes: 30, seconds: 4 })];
    const simulated = ["network", "network", "network"];
    for (const [of, views] of [
      [world({ peers: 9, nodes: 34 }), VIEWS],
      [world({ recording: lines.join("\n") }), simulated],
      [world({ recording: `${lines.join("\n")}\n`, grows: true }), simulated],
    ]) {
      await story(of, async (page, site) => {
        for (const view of views) {
          await visit(page, view);
          await page.waitForTimeout(300);
        }
        if (of.recording && !of.grows) await page.getByText("30 of 30 nodes up").waitFor();
        assert.deepEqual(site.of.missed, []);
      });
    }
  });

  test("what stands between backticks is shown as code, in every view", async () => {
    const of = world({ peers: 9, nodes: 34 });
    const look = async (page, where) => {
      const found = await page.evaluate(() => [document.body.innerText.includes("`"), [...document.querySelectorAll("main code")].map((one) => one.textContent)]);
      assert.equal(found[0], false, where);
      return found[1];
    };
    await story(of, async (page) => {
      for (const view of VIEWS) {
        await visit(page, view);
        const codes = await look(page, view);
        if (view === "limits") assert.ok(codes.includes("positron-net peers"), codes.join());
      }
      await visit(page, "peers");
      for (const [tab, code] of [["Lost", "max_peers"], ["Dials", "port"]]) {
        await page.getByRole("button", { name: tab, exact: true }).click();
        await page.locator("td code", { hasText: code }).first().waitFor();
        await look(page, tab);
      }
    });
    await story(world({ peers: 0, ready: false }), async (page) => {
      await page.locator(".remedies code", { hasText: "positron-net join" }).waitFor();
      await look(page, "alone");
    });
  });

  test("the tip stands in the turn in which the pointer comes, and nothing else is painted for it", async () => {
    for (const nodes of [200, 10_000]) {
      await story(world({ peers: 40, nodes }), async (page) => {
        await page.evaluate(() => document.addEventListener("scene", (event) => {
          window.scene = event.detail;
        }));
        await visit(page, "topology");
        await page.waitForFunction(() => window.scene?.view.nodes.length > 0 && window.scene.generation > 0 && window.scene.moving === false && window.scene.frame === 0, null, { timeout: 60_000 });
        const found = await page.evaluate(() => {
          const canvas = document.querySelector(".picture canvas");
          const tip = document.querySelector(".tip");
          const box = canvas.getBoundingClientRect();
          const before = window.scene.frames;
          const texts = [];
          for (let i = 0; i < 20; i += 1) {
            const [x, y] = window.scene.place(i);
            canvas.dispatchEvent(new PointerEvent("pointermove", { clientX: box.left + x, clientY: box.top + y, bubbles: true }));
            texts.push(tip.hidden ? "" : tip.textContent);
          }
          canvas.dispatchEvent(new PointerEvent("pointerleave"));
          return { texts, hidden: tip.hidden, frames: window.scene.frames - before + window.scene.frame };
        });
        assert.ok(found.texts.every((text) => text !== ""), JSON.stringify(found.texts));
        assert.deepEqual([found.hidden, found.frames], [true, 0]);
      }, { reducedMotion: "reduce" });
    }
  });

  test("above 3,000 nodes there is a dot for each network until it is zoomed in, and again after", async () => {
    await story(world({ peers: 40, nodes: 4000 }), async (page) => {
      await page.evaluate(() => document.addEventListener("scene", (event) => {
        window.scene = event.detail;
      }));
      await visit(page, "topology");
      const drawn = () => page.evaluate(() => window.scene.view.nodes.length);
      const settled = () => page.waitForFunction(() => window.scene?.view.nodes.length > 0 && window.scene.moving === false, null, { timeout: 60_000 });
      await settled();
      const dots = await drawn();
      // 3,959 that were heard of, 32 in each /16; 40 peers in one; this node.
      assert.equal(dots, Math.ceil((4000 - 41) / 32) + 2);
      const many = await page.evaluate(() => window.scene.view.nodes.findIndex((node) => node.label.startsWith("20.")));
      const place = await page.evaluate((i) => window.scene.place(i), many);
      const box = await page.locator(".picture canvas").first().boundingBox();
      await page.mouse.move(box.x + place[0], box.y + place[1]);
      await becomes(page, () => page.locator(".tip").innerText(), /\/16\n32 nodes, 0 linked/);
      await page.mouse.click(box.x + place[0], box.y + place[1]);
      await page.getByText("32 nodes of this network").waitFor();
      assert.deepEqual(await violations(page), []);
      await page.locator(".picture canvas").first().focus();
      for (let i = 0; i < 4; i += 1) await page.keyboard.press("+");
      await page.waitForFunction(() => window.scene.view.nodes.length === 4000);
      const apart = await page.evaluate(() => {
        const { positions } = window.scene.view;
        return [...positions].every(Number.isFinite) && new Set([...positions]).size > 4000;
      });
      assert.ok(apart, "each has a place of its own");
      await page.keyboard.press("0");
      await page.waitForFunction((dots) => window.scene.view.nodes.length === dots, dots);
    }, { reducedMotion: "reduce" });
  });

  test("a recording opens where its network has come together, and the slider shows the rest", async () => {
    const names = Array.from({ length: 30 }, (_, i) => i.toString(16).padStart(64, "0"));
    const lines = [JSON.stringify({ positron_recording: 1, seed: 3, nodes: names, step_ms: 100 })];
    for (let t = 100; t <= 6000; t += 100) {
      const line = { t_ms: t };
      if (t === 100) line.up = names.map((_, i) => i);
      if (t >= 1000 && t < 3900) line.links = [[(t - 1000) / 100, (t - 900) / 100]];
      if (t === 5000) line.cut = [[0, 1]];
      lines.push(JSON.stringify(line));
    }
    await story(world({ recording: lines.join("\n") }), async (page) => {
      const slider = page.getByRole("slider", { name: "Time" });
      await page.getByText("30 of 30 nodes up, 27 links").waitFor();
      assert.deepEqual(await slider.evaluate((one) => [one.min, one.value, one.max].map(Number)), [100, 3600, 6000]);
      await slider.fill("100");
      await page.getByText("30 of 30 nodes up, 0 links").waitFor();
      assert.equal(await page.getByRole("button", { name: "Split" }).count(), 0, "nothing can be done to a recording");
    });
  });

  test("the sender of a message is shown as where it began, and no hop leads to it", async () => {
    await story(world({ peers: 9, nodes: 34 }), async (page) => {
      await visit(page, "gossip");
      await page.getByRole("button", { name: /Send a test/ }).click();
      await page.getByText("others answered").waitFor();
      await page.getByText("this node: here it began").waitFor();
      const hops = page.getByRole("table", { name: "Hops" }).locator("tbody tr");
      const after = await hops.locator("td.num").allInnerTexts();
      assert.ok(after.length > 9 && after.every((one) => !/^0(\.0+)? ms/.test(one)), after.join());
    });
  });

  test("a peer shows what made its score with weight and age, and how near it is to its bounds", async () => {
    const of = world({ peers: 3 });
    await story(of, async (page) => {
      await visit(page, `peers/${of.live[1].node_id}`);
      await page.locator(".why li", { hasText: /\+0\.0812\s*Valid message 812 ×, last \d+ s ago/ }).waitFor();
      await page.locator(".why li", { hasText: /0\.90\s*.*its word weighs 0\.44/ }).waitFor();
      await page.locator(".why li", { hasText: /−0\.0500\s*Reported → 0\.410, 6 min/ }).waitFor();
      const rows = page.getByRole("table", { name: "Bounds of the peer" }).locator("tbody tr");
      await rows.filter({ hasText: /Streams2128 ?2 %/ }).waitFor();
      await visit(page, "limits");
      await page.getByLabel("Peer", { exact: true }).selectOption(of.live[2].node_id);
      await rows.filter({ hasText: "Lane gossip: bytes" }).waitFor();
      assert.deepEqual(await violations(page), []);
    });
  });

  test("without traces the gossip view says so in words", async () => {
    await story(world({ peers: 3, traces: false }), async (page) => {
      await visit(page, "gossip");
      await page.getByRole("button", { name: /Send a test/ }).click();
      await page.getByText("This node does not trace messages").waitFor();
    });
    await story(world({ peers: 0, ready: false }), async (page) => {
      await visit(page, "gossip");
      await page.getByRole("button", { name: /Send a test/ }).click();
      await page.getByText("Nobody is connected. Join a network first.").waitFor();
    });
  });

  test("below eight nodes a topology is a table, and who wants less motion gets the settled picture", async () => {
    await story(world({ peers: 2 }), async (page) => {
      await visit(page, "topology");
      assert.equal(await page.locator("canvas").count(), 0);
      await becomes(page, () => page.getByRole("table", { name: "Links" }).locator("tbody tr").count(), 2);
    });
    await story(world({ peers: 30, nodes: 200 }), async (page) => {
      const answers = await page.evaluate(() => new Promise((done) => {
        let settled = 0;
        const posts = Worker.prototype.postMessage;
        Worker.prototype.postMessage = function (order, ...rest) {
          this.addEventListener("message", (message) => {
            settled += 1;
            if (message.data.settled) done(settled);
          }, { once: false });
          return posts.call(this, order, ...rest);
        };
        location.hash = "#/topology";
      }));
      assert.equal(answers, 1, "one answer, and it is settled");
    }, { reducedMotion: "reduce" });
  });

  test("the level of the log is changed at run time", async () => {
    await story(world(), async (page, site) => {
      await visit(page, "logs");
      await page.getByLabel("Level").selectOption("debug");
      await page.getByText("From now on: debug").waitFor();
      assert.ok(site.of.asked.includes("PUT /v1/log-level"));
    });
  });

  test("a simulation that runs is followed as it grows, and takes orders", async () => {
    const lines = [...recording({ nodes: 30, seconds: 8, messagesASecond: 2 })];
    const begin = `${lines.slice(0, 20).join("\n")}\n`;
    await story(world({ recording: begin, grows: true }), async (page, site) => {
      // Chunks come with the first that comes half a second after: the page draws no faster.
      let at = 20;
      const push = () => site.push(lines[at++]);
      const allUp = page.getByText("30 of 30 nodes up");
      while (!(await allUp.waitFor({ timeout: 1000 }).then(() => true, () => false))) push();
      await page.getByText("still running").waitFor();
      assert.ok(at < lines.length - 1);
      await page.getByRole("button", { name: "Live", exact: true }).waitFor();
      await page.getByRole("button", { name: "Split" }).click();
      await page.getByText("Half of the nodes are cut off.").waitFor();
      await page.getByRole("button", { name: "Slow" }).click();
      await page.getByText("This network cannot be slowed.").waitFor();
      await page.locator(".picture canvas").first().focus();
      await page.keyboard.press("ArrowRight");
      await page.getByRole("button", { name: "Kill this node" }).click();
      await page.getByText("The node dies.").waitFor();
      assert.deepEqual(await violations(page), []);
      await page.getByRole("slider").fill("500");
      await page.getByRole("button", { name: "Go live" }).click();
      while (at < lines.length) push();
      site.end();
      await page.getByText("still running").waitFor({ state: "detached" });
      await page.getByText("Open a recording").waitFor();
      await page.getByRole("slider").fill("8000");
      await page.getByText("8.0 s", { exact: true }).waitFor();
    });
  });

  test("what cannot be done to a simulation is not offered", async () => {
    const lines = [...recording({ nodes: 12, seconds: 8, messagesASecond: 2 })];
    const actions = ["partition", "heal", "kill", "start"];
    const begin = `${lines.slice(0, 20).join("\n")}\n`;
    await story(world({ recording: begin, grows: true, actions }), async (page, site) => {
      let at = 20;
      const running = page.getByText("still running");
      while (!(await running.waitFor({ timeout: 1000 }).then(() => true, () => false))) site.push(lines[at++]);
      for (const name of ["Split", "Heal"]) await page.getByRole("button", { name, exact: true }).waitFor();
      assert.equal(await page.getByRole("button", { name: "Slow", exact: true }).count(), 0);
      site.end();
    });
  });

  test("time is moved by the slider, and a partition is seen", async () => {
    const lines = [...recording({ nodes: 90, seconds: 10 })].join("\n");
    await story(world({ recording: lines }), async (page) => {
      await page.getByText("90 of 90 nodes up").waitFor();
      const links = async () => Number(/nodes up, (\d+) links/.exec(await page.locator(".title").innerText())[1]);
      const whole = await links();
      const slider = page.getByRole("slider", { name: "Time" });
      await slider.focus();
      await slider.fill("5000");
      await becomes(page, async () => (await links()) < whole, true);
      await slider.fill("9000");
      await becomes(page, async () => (await links()) > whole - 20, true);
      await page.getByRole("button", { name: "Play" }).click();
      await page.getByRole("button", { name: "Pause" }).waitFor();
    });
  });
});
