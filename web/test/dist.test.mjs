// What is served: how large it is, and that it asks nobody else for anything.
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { test } from "node:test";
import { gzipSync } from "node:zlib";

const DIST = new URL("../dist/", import.meta.url);
const BUDGET = 120_000;

async function files() {
  const entries = await readdir(DIST, { recursive: true, withFileTypes: true });
  return Promise.all(entries.filter((one) => one.isFile()).map(async (one) => ({
    name: one.name,
    bytes: await readFile(`${one.parentPath}/${one.name}`),
  })));
}

test("all files together are at most 120 kB when they are compressed", async () => {
  const all = await files();
  const size = all.reduce((sum, one) => sum + gzipSync(one.bytes, { level: 9 }).length, 0);
  console.log(`${all.length} files, ${size} bytes compressed`);
  assert.ok(size <= BUDGET, `${size} bytes`);
});

test("no file names another host, and the document has no script and no style of its own", async () => {
  for (const { name, bytes } of await files()) {
    // Names of XML namespaces are no addresses that anybody asks.
    const text = bytes.toString().replaceAll(/http:\/\/www\.w3\.org\/[\w/]+/g, "");
    assert.doesNotMatch(text, /(https?:)?\/\/[\w-]+\.[a-z]{2,}/i, name);
    assert.doesNotMatch(text, /\beval\(|new Function\(/, name);
  }
  const html = (await readFile(new URL("index.html", DIST))).toString();
  assert.doesNotMatch(html, /<style|style=|\son\w+=|<script[^>]*>[^<]/);
});
