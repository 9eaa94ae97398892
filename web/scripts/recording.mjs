// Writes a recording of a made-up network: node scripts/recording.mjs FILE [nodes] [seconds] [seed]
import { createWriteStream } from "node:fs";
import { recording } from "./network.mjs";

const [file, nodes = "1000", seconds = "60", seed = "7"] = process.argv.slice(2);
if (!file) {
  console.error("usage: node scripts/recording.mjs FILE [nodes] [seconds] [seed]");
  process.exit(2);
}
const out = createWriteStream(file);
for (const line of recording({ nodes: Number(nodes), seconds: Number(seconds), seed: Number(seed) })) out.write(`${line}\n`);
out.end();
