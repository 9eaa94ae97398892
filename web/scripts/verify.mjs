// Builds the page anew beside dist/ and says whether both are the same, file by file.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const fresh = await mkdtemp(join(tmpdir(), "positron-page-"));

async function hashes(folder) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((one) => one.isFile()).map((one) => join(one.parentPath, one.name)).sort();
  const found = new Map();
  for (const file of files) {
    found.set(relative(folder, file), createHash("sha256").update(await readFile(file)).digest("hex"));
  }
  return found;
}

let differ = 0;
try {
  const npx = (...args) => execFileSync("npx", ["--no-install", ...args], { cwd: root, stdio: ["ignore", "ignore", "inherit"] });
  npx("tsc", "--noEmit");
  npx("vite", "build", "--outDir", fresh, "--emptyOutDir");
  const [committed, built] = [await hashes(join(root, "dist")), await hashes(fresh)];
  for (const name of new Set([...committed.keys(), ...built.keys()])) {
    if (committed.get(name) === built.get(name)) continue;
    differ += 1;
    console.error(`differs: ${name}: ${committed.get(name) ?? "not in dist"}, built now: ${built.get(name) ?? "not made"}`);
  }
  if (differ === 0) console.log(`dist is what the sources make: ${built.size} files, all hashes equal`);
  else console.error("run `npm run build` and commit dist");
} finally {
  await rm(fresh, { recursive: true, force: true });
}
process.exit(differ === 0 ? 0 : 1);
