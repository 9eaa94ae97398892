// axe-core, in a world of its own beside the page: its policy forbids scripts from elsewhere.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const RUN = `axe.run(document, { resultTypes: ["violations"] }).then((found) =>
  found.violations.map((one) => one.id + ": " + one.nodes.map((node) => node.target + " " + node.failureSummary).join(" | ")))`;

/** What is wrong for those who do not see, or do not see well, or have no mouse. */
export async function violations(page) {
  const session = await page.context().newCDPSession(page);
  const { frameTree } = await session.send("Page.getFrameTree");
  const { executionContextId: contextId } = await session.send("Page.createIsolatedWorld", { frameId: frameTree.frame.id });
  await session.send("Runtime.evaluate", { contextId, expression: AXE });
  const { result, exceptionDetails } = await session.send("Runtime.evaluate", { contextId, awaitPromise: true, returnByValue: true, expression: RUN });
  await session.detach();
  assert.equal(exceptionDetails, undefined);
  return result.value;
}

/** Goes to a view, and waits until it has its answers. */
export async function visit(page, view) {
  await page.evaluate((to) => {
    location.hash = to;
  }, `#/${view}`);
  await page.waitForFunction((to) => document.querySelector(`nav a[href="#/${to}"]`)?.ariaCurrent === "page", view.split("/")[0]);
  await page.waitForFunction(() => !document.body.innerText.includes("Asking for"));
}
