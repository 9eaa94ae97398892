// The format of recordings, as the generator of tests writes it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { recording } from "../scripts/network.mjs";

test("the same seed makes the same recording, and each line is one step of it", () => {
  const one = [...recording({ nodes: 40, seconds: 5, seed: 3 })];
  assert.deepEqual(one, [...recording({ nodes: 40, seconds: 5, seed: 3 })]);
  const head = JSON.parse(one[0]);
  assert.equal(head.positron_recording, 1);
  assert.equal(head.nodes.length, 40);
  const steps = one.slice(1).map((line) => JSON.parse(line));
  steps.forEach((step, i) => assert.equal(step.t_ms, i * head.step_ms));
  const hops = steps.flatMap((step) => step.hops ?? []);
  assert.ok(hops.length >= 39, "a message reaches everybody");
  for (const [, from, to, took, at] of hops) {
    assert.ok(from < 40 && to < 40 && took >= 0 && at >= 0);
  }
});
